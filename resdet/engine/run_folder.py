"""The folder of a run: its files, and which process may write there."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from resdet.config import config_from_dict, config_to_dict
from resdet.config.old_names import with_new_names
from resdet.config.schema import RUN_CONFIGS
from resdet.engine.checkpoint import previous_state
from resdet.engine.logging import has_evaluation
from resdet.engine.run_lock import held
from resdet.errors import ConfigError
from resdet.files import remove_unfinished, write_text
from resdet.system import replace as replace_path

# the files worth keeping, of a run and of its steps; a run without any of them ended before its first checkpoint
_FILES = ("state.pt", "state.previous.pt", "model.safetensors", "best.safetensors", "metrics.json", "steps.json")
_PRODUCTS = (*_FILES, *(f"step*/{name}" for name in _FILES))
# an option that the run may decide itself, with the values that leave the decision to the run
_CHOSEN = {"run.kernels": ("auto", "<absent>")}
# options that change neither the weights nor the test data (though a plateau schedule depends on the evaluations)
_NEUTRAL = {"output", "from_scratch", "data.workers", "run.log_every", "run.loggers", "run.checkpoint_every", "run.eval_every"}


@dataclass(frozen=True)
class RunFolder:
    """The files of a run.

    Attributes:
        folder: the folder.
        resumed: whether it held the run before.
        changes: the options that a resumed run changes, each with its old and its new value.
        changed_config: the config with these changes; "" without any.
    """

    folder: Path
    resumed: bool
    changes: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    changed_config: str = ""

    @property
    def config(self) -> Path:
        """The complete config."""
        return self.folder / "config.yaml"

    @property
    def log(self) -> Path:
        """One JSON object a line: training and evaluation."""
        return self.folder / "log.jsonl"

    @property
    def state(self) -> Path:
        """The training state."""
        return self.folder / "state.pt"

    @property
    def model(self) -> Path:
        """The model of the last checkpoint."""
        return self.folder / "model.safetensors"

    @property
    def best(self) -> Path:
        """The model of the best evaluation."""
        return self.folder / "best.safetensors"

    @property
    def metrics(self) -> Path:
        """The numbers of the last evaluation."""
        return self.folder / "metrics.json"

    def refuse_lost_state(self) -> None:
        """Raise a ConfigError when a run saved its state here, as its other files show, and that is gone."""
        kept = previous_state(self.state)
        left = [path for path in (self.model, self.best, self.metrics, kept) if path.exists()]
        if has_evaluation(self.log):  # before which the state is saved
            left.append(self.log)
        if self.state.exists() or not left:
            return
        ways = [f"rename {kept.name}, the state before, to {self.state.name}"] if kept in left else []
        ways += [f"put {self.state.name} back", "pass --restart, which moves what is there aside"]
        names = ", ".join(path.name for path in left)
        raise ConfigError(f"{self.state} is gone, training would begin anew and overwrite {names}: {', or '.join(ways)}")

    def take_changes(self) -> None:
        """Write the changed config, and keep the one before it as ``config.1.yaml``, ``config.2.yaml``, …."""
        if self.changes:
            kept = next(path for number in itertools.count(1) if not (path := self.folder / f"config.{number}.yaml").exists())
            write_text(kept, self.config.read_text(encoding="utf-8"))
            write_text(self.config, self.changed_config)


@contextlib.contextmanager
def open_run(folder: str | Path, config_yaml: str, resume: bool, change: Collection[str] = ()) -> Iterator[RunFolder]:
    """Create or reopen the folder of a run, and keep other processes out of it until the context ends.

    Args:
        folder: created when missing.
        config_yaml: the complete config, written to ``config.yaml``.
        resume: continue the run in the folder; without one, a new run begins. When the folder holds only a config and a
            log, that run ended before it saved anything, and a new run begins with any config.
        change: options, or sections, in which a resumed run may differ from the run in the folder. ``take_changes`` of the
            result then writes the config, when the state in the folder has turned out to fit it.

    Raises:
        ConfigError: when the folder holds a run and ``resume`` is false; when it holds one of another config, with every option
            that differs (the number of workers and how often to log, save and evaluate may change); when there is something
            to change and no run; when another process holds the folder; when it cannot be written.
    """
    folder = Path(folder)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(held(folder))
            for place in (folder, folder / "report"):
                remove_unfinished(place, own=True)
            if not resume:
                refuse_used(folder)
            run = RunFolder(folder, resumed=holds_run(folder))
            if change and not run.resumed:
                raise ConfigError(f"{folder} holds no run that --change could change")
            if run.resumed and not run.config.exists():
                ways = "put it back, or pass --restart, which moves what is there aside"
                raise ConfigError(f"{run.config} is gone, and what the run was is not known: {ways}")
            differences = _differences(run.config, config_yaml) if run.resumed else {}
            if others := [name for name in differences if not _covered(name, change)]:
                raise ConfigError(
                    [f"{folder} holds a run of another config: {_told(name, *differences[name])}" for name in others]
                )
            if differences:
                run = replace(run, changes=differences, changed_config=config_yaml)
            else:
                write_text(run.config, config_yaml)
        except OSError as error:
            raise ConfigError(f"--output {folder}: {error.filename or folder}: {error.strerror}") from error
        yield run


def refuse_used(folder: str | Path) -> None:
    """A ConfigError when the folder holds a run; it offers the next free name."""
    folder = Path(folder)
    if holds_run(folder):
        free = next(name for number in itertools.count(2) if not (name := folder.with_name(f"{folder.name}_{number}")).exists())
        raise ConfigError(f"{folder} holds a run; pass --resume to continue it or choose another --output, such as {free}")


def set_aside(folder: str | Path) -> Path | None:
    """Move a run folder with all that is in it to the next free name, ``runs/mine.1`` of ``runs/mine``.

    Returns:
        Where it is now; None: there was no run, and nothing was moved.

    Raises:
        ConfigError: another process is training there, or it cannot be moved.
    """
    folder = Path(folder)
    if not (holds_run(folder) or (folder / "config.yaml").exists()):
        return None
    target = next(path for number in itertools.count(1) if not (path := folder.with_name(f"{folder.name}.{number}")).exists())
    try:
        with held(folder):
            replace_path(folder, target)
    except OSError as error:
        raise ConfigError(f"--restart: {folder} cannot be moved to {target}: {error.strerror}") from error
    return target


def holds_run(folder: str | Path) -> bool:
    """Whether a run saved something in the folder."""
    return any(any(Path(folder).glob(name)) for name in _PRODUCTS)


def _differences(config: Path, config_yaml: str) -> dict[str, tuple[Any, Any]]:
    """The options that differ, by name, each with its value in the file ``config`` and in ``config_yaml``."""
    try:
        before = _options(config.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{config}: not YAML: {' '.join(str(error).split())}") from error
    now = _options(config_yaml)
    neutral = _NEUTRAL - ({"run.eval_every"} if now.get("schedule.policy") == "plateau" else set())
    found = {}
    for name in sorted(before.keys() | now.keys()):
        old, new = (values.get(name, "<absent>") for values in (before, now))
        undecided = any(value in _CHOSEN.get(name, ()) for value in (old, new))
        undecided = undecided or (name == "optimizer.base_batch" and _rate(before) == _rate(now))
        if name not in neutral and old != new and not undecided:
            found[name] = (old, new)
    return found


def _told(name: str, old: Any, new: Any) -> str:
    return f"option {name!r} is {old!r} there and {new!r} now"


def _covered(name: str, change: Collection[str]) -> bool:
    """Whether an option is one of those to change, or in a section of them."""
    # a learning rate that is given alone is for any batch
    given = {*change, "optimizer.base_batch"} if "optimizer.lr" in change else change
    return any(name == key or name.startswith((f"{key}.", f"{key}[")) for key in given)


def _rate(options: Mapping[str, Any]) -> Any:
    """The learning rate for the run's batch; alternating training has several, so there every option of it counts."""
    keys = ("training", "optimizer.lr", "run.batch", "optimizer.base_batch")
    training, rate, batch, base = (options.get(key) for key in keys)
    return (rate, batch, base) if training == "alternating" else (rate, batch, batch / base if batch and base else 1)


def _options(text: str) -> dict[str, Any]:
    """Every option of a config's YAML with its current dotted name; one that the file's release did not have, by default."""
    values = yaml.safe_load(text)
    if not isinstance(values, dict):
        return dict(_leaves(values))
    values, _ = with_new_names(values)
    with contextlib.suppress(ConfigError):  # not of this release: what differs is told by what the file says
        values = (
            config_to_dict(config_from_dict(RUN_CONFIGS[values["task"]], values))
            if values.get("task") in RUN_CONFIGS
            else values
        )
    return dict(_leaves(values))


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Every option of nested mappings with its dotted name; a list of mappings as ``name[0].key``."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _leaves(item, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
        for index, item in enumerate(value):
            yield from _leaves(item, f"{name}[{index}]")
    else:
        yield name, value
