"""The tables of docs/data.md that come from the tests; run as a program, it writes them there."""

from collections.abc import Callable
from pathlib import Path

from odd_sets import ODD
from spoiled_sets import DEFECTS, FORMATS, REMARKS

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "data.md"
_NAMES = {"coco": "COCO", "voc": "VOC", "yolo": "YOLO"}


def defects() -> list[str]:
    """The exit status of each defect in each format."""

    def cell(defect: str, form: str) -> str:
        status = DEFECTS[defect][1:][FORMATS.index(form)][0]
        remark = REMARKS.get(defect, {}).get(form, "")
        return f"{status}: {remark}" if remark else str(status)

    return [f"| {defect} | {' | '.join(cell(defect, form) for form in FORMATS)} |" for defect in DEFECTS]


def odd() -> list[str]:
    """What other programs write, and how it is read."""
    return [f"| {_NAMES[each.form]} | {each.written} | {each.read} | {'warning' if each.note else ''} |" for each in ODD]


TABLES: dict[str, Callable[[], list[str]]] = {
    "| defect | COCO | VOC | YOLO |": defects,
    "| format | what is written | what is read | told |": odd,
}


def with_tables(text: str) -> str:
    """The document with the rows of each table anew; a table begins with its header and ends with an empty line."""
    for header, rows in TABLES.items():
        before, _, after = text.partition(f"\n{header}\n")
        rule = "|---" * (header.count("|") - 1) + "|"
        text = "\n".join([before, header, rule, *rows(), "", after.partition("\n\n")[2]])
    return text


if __name__ == "__main__":
    DOCUMENT.write_text(with_tables(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8", newline="\n")
