"""What a browser shows of a page, and what a user does there."""

from __future__ import annotations

from typing import Any


def texts(browser: Any, selector: str) -> list[str]:
    return [each.text for each in browser.find_elements("css selector", selector)]


def names(browser: Any) -> list[str]:
    return texts(browser, ".card .name")


def choose(browser: Any, name: str, value: str) -> None:
    """Choose or type as a user does, at the gallery's filters."""
    browser.execute_script(
        "const each = document.querySelector(`.filters [name=${arguments[0]}]`); each.value = arguments[1];"
        "each.dispatchEvent(new Event('input', {bubbles: true}));",
        name,
        value,
    )


def click(browser: Any, selector: str, number: int = 0) -> None:
    browser.execute_script("document.querySelectorAll(arguments[0])[arguments[1]].click()", selector, number)


def press(browser: Any, *keys: str) -> None:
    from selenium.webdriver.common.action_chains import ActionChains  # which is not everywhere

    ActionChains(browser).send_keys(*keys).perform()


def focused(browser: Any) -> str:
    return browser.execute_script("const e = document.activeElement; return e.id || e.className || e.tagName")
