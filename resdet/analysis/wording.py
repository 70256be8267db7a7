"""Writes numbers as the words of a conclusion."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from resdet.analysis.seeds import standard_error


def percent(error: float) -> str:
    """An error in [0, 1] as ``12.34 %``."""
    return f"{100 * error:.2f} %"


def percent_with_error(errors: Sequence[float]) -> str:
    """The mean of errors in [0, 1], and its standard error where there are several, as ``12.34 ± 0.12 %``."""
    return percent(errors[0]) if len(errors) == 1 else f"{100 * fmean(errors):.2f} ± {100 * standard_error(errors):.2f} %"


def points(rise: float) -> str:
    """A difference of errors in [0, 1] as ``+1.23 points``."""
    return f"{100 * rise:+.2f} points"


def joined(parts: Sequence[str]) -> str:
    """``a, b and c``."""
    return " and ".join([*([", ".join(parts[:-1])] if len(parts) > 1 else []), *parts[-1:]])
