"""The commands that the pages show in their blocks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from resdet.commands.parsers import COMMANDS

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def shown(page: str) -> Iterator[str]:
    """The commands of a page's blocks, lines that go on joined; not those that leave something out, or choose."""
    for block in re.findall(r"^```\w*\n(.*?)^```", page, re.MULTILINE | re.DOTALL):
        for line in re.sub(r"\\\n\s*", "", block).splitlines():
            for part in line.split(" && "):
                found = re.match(r"(?:\w+=\S+ )*(?:torchrun .*-m )?resdet ([a-z][\w-]*(?: .*)?)$", part.strip())
                command = re.split(r"\s(?:\||>|#|2>)", found[1] + " ")[0].strip() if found else ""
                if command and not re.search(r"…|\.\.\.|\$|\w\|\w", command):
                    yield command


def commands() -> list[tuple[str, str]]:
    """Each page's path and a command of it, without ``resdet``, in order."""
    found = [
        (path.relative_to(ROOT).as_posix(), command) for path in PAGES for command in shown(path.read_text(encoding="utf-8"))
    ]
    return [(page, command) for page, command in found if command.split()[0] in COMMANDS]
