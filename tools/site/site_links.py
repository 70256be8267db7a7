"""Where the files of the repository are on the site, and the links between its pages.

The pages are written for the repository: a link leads to a file beside the page, to a folder, or out of ``docs/``. On the
site ``docs/`` is the top, what is outside of it and linked to goes below ``repository/``, and a folder is its README.md, or a
list of what is in it.
"""

import posixpath
import re
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_DOCS, _OUTSIDE = "docs/", "repository/"
# code blocks and inline code come first, so that what looks like a link in them is left alone
_LINK = re.compile(r"^```.*?^```|`[^`\n]+`|(\[[\w./]+\.md\]|\])\((?![a-z]+:|#)([^)#\s]+)", re.MULTILINE | re.DOTALL)

# a block of code with what follows it, or a line that is no list or table, with what begins one after it
_TOUCHING = re.compile(r"(^```(?s:.*?)^```+\n|^(?!-|\||1\. )\S.*\n)(?:(?=(- |1\. |\||(?<=```\n)\S))|)", re.MULTILINE)


def place(path: str) -> str:
    """The place on the site of a file of the repository, both with slashes; of a folder, that of the page about it."""
    where = ROOT / path
    if where.is_dir():
        return place(posixpath.join(path, "README.md" if (where / "README.md").is_file() else "index.md"))
    if path.startswith(_DOCS):
        return path.removeprefix(_DOCS).replace(".ipynb", ".md")
    return _OUTSIDE + path + ("" if path.endswith(".md") else ".md")


def origin(uri: str) -> str:
    """The file of the repository that a page of the site is made of."""
    return uri.removeprefix(_OUTSIDE) if uri.startswith(_OUTSIDE) else _DOCS + uri


def targets(markdown: str, path: str) -> set[str]:
    """The files and folders of the repository that a page there links to."""
    found = {_resolved(match[2], path) for match in _LINK.finditer(markdown) if match[2]}
    return {target for target in found if (ROOT / target).exists()}


def for_the_site(markdown: str, uri: str) -> str:
    """A page with links as the site has them, those called by a file's name by its title.

    Links to nothing stay as they are, for the build to tell.
    """

    def rewritten(match: re.Match[str]) -> str:
        target = _resolved(match[2], origin(uri)) if match[2] else ""
        if not target or not (ROOT / target).exists():
            return match[0]
        text = "]" if match[1] == "]" else f"[{_title(target)}]"
        return f"{text}({posixpath.relpath(place(target), posixpath.dirname(uri) or '.')}"

    return _LINK.sub(rewritten, markdown)


def with_gaps(markdown: str) -> str:
    """A page with an empty line before each list and table, and after each block of code: GitHub needs none there."""
    return _TOUCHING.sub(lambda match: match[1] + ("\n" if match[2] else ""), markdown)


def beside_docs(pages: Iterable[str]) -> dict[str, str]:
    """What else the site needs, by its place there: each file outside of ``docs/``, and each folder without a README.md.

    Args:
        pages: the markdown files of ``docs/``, as paths of the repository; the links of what they lead to are followed.
    """
    found: dict[str, str] = {}
    waiting = list(pages)
    while waiting:
        path = waiting.pop()
        for target in targets((ROOT / path).read_text(encoding="utf-8"), path):
            uri, known = place(target), (ROOT / _DOCS / place(target)).is_file() or target.endswith(".ipynb")
            if not known and uri not in found:
                found[uri] = target
                if target.endswith(".md"):
                    waiting.append(target)
    return found


def as_page(path: str) -> str:
    """A file of the repository, or a folder without a README.md, as a page."""
    where = ROOT / path
    if where.is_dir():
        names = sorted(each.name for each in where.iterdir())
        return "\n".join([f"# {where.name}", "", *(f"- [{name}]({name})" for name in names), ""])
    text = where.read_text(encoding="utf-8")
    return text if path.endswith(".md") else f"# {path}\n\n````{_language(where)}\n{text.rstrip()}\n````\n"


def _title(path: str) -> str:
    """The first heading of a page."""
    found = re.search(r"^# (.+)$", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE)
    return found[1] if found else path


def _language(path: Path) -> str:
    return {".py": "python", ".yaml": "yaml", ".cff": "yaml", "": "docker"}.get(path.suffix, "")


def _resolved(link: str, path: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), link))
