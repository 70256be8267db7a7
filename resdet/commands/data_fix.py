"""``data fix``: a cleaned copy of a detection set, and a table of what was changed."""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from resdet.commands.arguments import is_override
from resdet.commands.data_arguments import add_source_arguments
from resdet.commands.data_sources import named_data
from resdet.console import say, show
from resdet.errors import ConfigError

if TYPE_CHECKING:
    from resdet.data.inspection.suspected import Suspected


def add_fix_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``data fix``."""
    add_source_arguments(parser, detection=True)
    parser.add_argument(
        "--output", required=True, metavar="DEST", help="a new or empty folder; of several sets, one in it for each"
    )
    text = "mend only these kinds of findings (default: all that can be mended; a wrong one lists them)"
    parser.add_argument("--kinds", nargs="+", default=[], metavar="KIND", help=text)
    parser.add_argument(
        "--suspicions",
        metavar="FILE",
        help="label_suspicions.json of a report, with the rows that you agree with; goes with --kinds of no-box (adds "
        "objects), another-class (changes classes) and never-found (removes objects)",
    )


def run_fix(args: argparse.Namespace) -> int:
    """Write the cleaned copies, and print how much was changed in each.

    Raises:
        ConfigError: on wrong arguments or options, an unknown kind, or a destination that holds something.
        DataError: with every problem of the annotations, or of the rows of ``--suspicions``.
    """
    from resdet.data.check import summary
    from resdet.data.convert.fixed import CHANGES, write_fixed
    from resdet.data.formats.annotations import BoxWarning, keeping_wrong_boxes
    from resdet.data.inspection.mend import counts_of
    from resdet.data.inspection.suspected import corrected, of_sets

    _take_others(args)
    kinds, rows = _asked_for(args)
    data = named_data(args)
    with keeping_wrong_boxes(), warnings.catch_warnings():
        warnings.simplefilter("ignore", BoxWarning)  # the table of changes says the same, and where
        parts = list(data.detection_sets())
    datasets = [dataset for _, dataset in parts]
    # all rows are looked at before anything is written
    agreed_sets = [corrected(dataset, own) for dataset, own in zip(datasets, of_sets(rows, datasets), strict=True)]
    for number, ((option, _), (dataset, changes)) in enumerate(zip(parts, agreed_sets, strict=True)):
        name = "val" if option == "data.val" else f"train{number or ''}"
        folder = Path(args.output).expanduser() / (name if len(parts) > 1 else "")
        fixed = write_fixed(data.sources[option], dataset, folder, kinds, changes)
        counts = counts_of(fixed.changes)
        say(f"{folder}: {summary(fixed.dataset)}, as {fixed.form}; {len(fixed.changes)} changes: {folder / CHANGES}")
        table = "\n".join(f"  {kind}: {count}" for kind, count in counts.items())
        show(table, {option: {"folder": str(folder), "format": fixed.form, "changes": counts}})
        for line in fixed.lost:
            say(f"note: {line}", error=True)
    return 0


def _asked_for(args: argparse.Namespace) -> tuple[list[str] | None, list[Suspected]]:
    """The kinds of findings to mend, None for all, and the suspicions that the user agrees with."""
    from resdet.data.inspection.mend import KINDS
    from resdet.data.inspection.suspected import SUSPECTED, read_suspicions

    known = (*KINDS, *SUSPECTED) if args.suspicions else KINDS
    if unknown := [kind for kind in args.kinds if kind not in known]:
        raise ConfigError([f"--kinds must be of {', '.join(known)}; got {kind!r}" for kind in unknown])
    agreed = [kind for kind in args.kinds if kind in SUSPECTED]
    if not args.suspicions:
        return args.kinds or None, []
    if not agreed:
        raise ConfigError(f"--suspicions changes what --kinds names: some of {', '.join(SUSPECTED)}")
    return [kind for kind in args.kinds if kind not in agreed], read_suspicions(args.suspicions, agreed)


def _take_others(args: argparse.Namespace) -> None:
    """Give back what ``--kinds`` took beyond its words: a path, or key=value arguments."""
    kinds = [word for word in args.kinds if not is_override(word) and not Path(word).exists()]
    args.overrides = [*args.overrides, *(word for word in args.kinds if word not in kinds)]
    args.kinds = kinds
