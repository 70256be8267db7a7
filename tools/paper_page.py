"""Write the tables of docs/paper.md anew from resdet/facts/paper.yaml: ``python tools/paper_page.py``."""

from __future__ import annotations

from pathlib import Path

from resdet.facts.paper_tables import paper_tables, table_text
from resdet.files import write_text

PAGE = Path(__file__).resolve().parents[1] / "docs" / "paper.md"
BEGIN, END = "<!-- tables: python tools/paper_page.py -->", "<!-- end of tables -->"


def with_tables(page: str) -> str:
    """The page with all tables between its two marks."""
    before, _, rest = page.partition(BEGIN)
    after = rest.partition(END)[2]
    return (
        f"{before}{BEGIN}\n\n{chr(10).join(f'{table_text(table)}{chr(10)}' for table in paper_tables().values())}\n{END}{after}"
    )


if __name__ == "__main__":
    write_text(PAGE, with_tables(PAGE.read_text(encoding="utf-8")))
