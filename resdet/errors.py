"""The errors a user can cause, each with the exit status of the command line.

0 done, 1 failed, 2 wrong usage or config, 3 bad data, 130 interrupted. A message names the parameter or file, the rule,
and the value that broke it; several problems found together are reported together, one a line.
"""

from __future__ import annotations

from collections.abc import Sequence

_KNOWN = 200  # names that a message lists
_LONGEST, _COMPARED = 100, 2000  # letters of a name, and names, among which a near one is looked for


class ResdetError(Exception):
    """A failure to be shown to the user as text, without a traceback."""

    exit_status = 1

    def __init__(self, problems: str | Sequence[str]) -> None:
        self.problems: tuple[str, ...] = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(self.problems))


class ConfigError(ResdetError):
    """A config, an argument, or weights that do not fit them."""

    exit_status = 2


class DataError(ResdetError):
    """An annotation file or an image that cannot be used."""

    exit_status = 3


class TrainingError(ResdetError):
    """Training cannot go on, a non-finite loss for instance."""

    exit_status = 1


class PredictionError(ResdetError):
    """A network whose answers are no numbers, with weights of absurd size for instance."""

    exit_status = 1


class PeerError(ResdetError):
    """Another process of the run has failed, and tells its user why; this one ends with its exit status."""

    def __init__(self, rank: int, status: int, problems: Sequence[str]) -> None:
        super().__init__([f"rank {rank} has failed: {problem}" for problem in problems])
        self.exit_status = status


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """Return ``" (did you mean 'x'?)"`` for the nearest of ``known``, or the list of them when none is near."""
    if near := near_miss(name, known):
        return near
    more = f", … and {len(known) - _KNOWN} more" if len(known) > _KNOWN else ""
    return f" (known: {', '.join(sorted(known)[:_KNOWN])}{more})" if known else ""


def near_miss(name: str, known: Sequence[str]) -> str:
    """Return ``" (did you mean 'x'?)"`` for the nearest of ``known``, "" when none is near."""
    import difflib

    # names of classes come from files: a hundred thousand letters, or as many names, would take hours
    short = [each for each in known if len(each) <= _LONGEST][:_COMPARED] if len(name) <= _LONGEST else []
    near = difflib.get_close_matches(name, short, n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""
