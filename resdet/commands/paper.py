"""Print the rows of the paper's tables: its numbers, what has been measured here, and the command of each, or "not run"."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from resdet.console import show
from resdet.errors import ConfigError, did_you_mean


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``resdet paper``."""
    parser.add_argument("tables", nargs="*", metavar="TABLE", help="table2 … table14 (default: all)")


def run(args: argparse.Namespace) -> int:
    """Print the tables that were asked for.

    Raises:
        ConfigError: with every table that the paper does not have, or that holds no results.
    """
    from resdet.facts.paper_tables import paper_tables, table_text

    tables = paper_tables()
    unknown = [name for name in args.tables if name not in tables]
    if unknown:
        raise ConfigError(
            [
                f"no table {name!r}{did_you_mean(name, list(tables))}: must be table2 … table{len(tables) + 1}"
                for name in unknown
            ]
        )
    asked = {name: tables[name] for name in args.tables or tables}
    show("\n\n".join(map(table_text, asked.values())), {name: asdict(table) for name, table in asked.items()})
    return 0
