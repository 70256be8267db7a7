"""How a run is begun: from what, by whom, and with what beside it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from resdet.distributed.ranks import ALONE, Ranks
from resdet.engine.run import Hook
from resdet.errors import ConfigError


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

    def __post_init__(self) -> None:
        """Raise a ConfigError for what is no hook."""
        for hook in self.hooks:
            if not isinstance(hook, Hook):
                name = getattr(hook, "__name__", "")
                made = f"the class {name}: give what it makes, {name}()" if isinstance(hook, type) else repr(hook)
                raise ConfigError(f"'hooks' must be objects of resdet.Hook's kind, got {made}")


ANEW = How()
