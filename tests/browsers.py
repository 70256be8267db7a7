"""A browser without a window."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

AXE = Path(__file__).parents[1] / "build" / "axe" / "package" / "axe.min.js"  # .ci/run puts it there


def chromium() -> Iterator[Any]:
    """Chromium, which keeps a log of its requests; skips where it, its driver or selenium is missing."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    programs = [shutil.which(name) for name in ("chromium", "chromedriver")]
    if not all(programs):
        pytest.skip("no chromium with its chromedriver here")
    options = webdriver.ChromeOptions()
    options.binary_location = programs[0]
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--window-size=1280,900"):
        options.add_argument(argument)
    options.add_argument("--force-prefers-reduced-motion")
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(programs[1]))
    yield browser
    browser.quit()


def violations(browser: Any) -> list[tuple[str, str, str, str]]:
    """What axe-core finds in the page: rule, impact, the first element, and why; skips where axe-core is missing."""
    if not AXE.is_file():
        pytest.skip(f"axe-core is not at {AXE}: npm pack axe-core, unpacked in build/axe")
    browser.execute_script(AXE.read_text(encoding="utf-8"))
    found = browser.execute_async_script("axe.run().then(arguments[arguments.length - 1])")
    assert len(found["passes"]) > 20
    return [
        (each["id"], each["impact"], each["nodes"][0]["html"][:200], each["nodes"][0]["failureSummary"])
        for each in found["violations"]
    ]
