"""What of the packaging is computed: the list of packages, and the README as an index of packages can show it.

Everything else is in pyproject.toml.
"""

import re
from pathlib import Path

from setuptools import find_packages, setup


def index_page(readme: str) -> str:
    """The README as an index can show it, where links to files beside it would lead nowhere.

    Such links become text, ``text: file``. A paragraph that begins with such a picture, and says what it shows, is left out.
    """

    def as_text(link: re.Match[str]) -> str:
        text, target = link.groups()
        return text if text == target else f"{text}: {target}"

    without_pictures = re.sub(r"^!\[[^\]]*\]\((?![a-z]+:).*\n(?:.+\n)*\n", "", readme, flags=re.MULTILINE)
    return re.sub(r"\[([^\]]+)\]\((?![a-z]+:|#)([^)]+)\)", as_text, without_pictures)


setup(
    # those with an __init__.py; the last two have none, and lie at the top of a checkout (pyproject.toml: package-dir)
    packages=[*find_packages(include=["resdet", "resdet.*"]), "resdet.configs", "resdet.benchmarks"],
    long_description=index_page(Path("README.md").read_text(encoding="utf-8")),
    long_description_content_type="text/markdown",
)
