"""How a run is begun: from what, by whom, and with what beside it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from resdet.distributed.ranks import ALONE, Ranks
from resdet.engine.run import Hook


@dataclass(frozen=True, kw_only=True)
class How:
    """How a run is begun.

    Attributes:
        resume: continue the run in the folder.
        hooks: your own hooks, in addition to those that log, evaluate and save.
        change: options in which the resumed run may differ from the run in the folder.
        accept_data: let the resumed run go on with other training images than it began with.
        ranks: the processes that train together.
    """

    resume: bool = False
    hooks: Sequence[Hook] = ()
    change: Collection[str] = ()
    accept_data: bool = False
    ranks: Ranks = ALONE


ANEW = How()
