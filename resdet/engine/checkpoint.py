"""Saves the training state in one file, replaced as a whole, from which a run continues bit for bit.

With the state its checksums are kept, of each tensor and of all other values, and compared on every reading; files of earlier
releases have none. The state before it stays beside it, in case the disk damages one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from resdet.engine.optimizer import parameters_of
from resdet.errors import ConfigError, DataError, TrainingError
from resdet.files import atomic_write, regular
from resdet.models.intact import checksums, damage, text_checksum

_FORMAT = "resdet training state 1"
_LAYOUT = {"iteration": int, "model": Mapping, "optimizer": dict, "extra": dict}
_SHOWN = 10


class Stateful(Protocol):
    """Something with a state of its own, of tensors and plain values."""

    def state_dict(self) -> dict[str, Any]:
        """The state."""

    def load_state_dict(self, state: dict[str, Any]) -> object:
        """Take over a state."""


class Checkpointer:
    """The state file of a run, what goes into it, and the notes (``extra``) that hooks keep in it.

    Args:
        path: the file, ``state.pt``.
        model: the network; it is saved with all its buffers.
        optimizer: the optimizer of that model.
        parts: other objects with a state, by name: the average of the weights, the scale of fp16.
        writes: False: another process writes the file, this one only reads it.

    Attributes:
        extra: plain values by name (scalars, strings, tensors, lists and dicts of them); saved and restored with the rest.
        saved: the iteration whose state the file holds, as far as this process knows; None: none.
    """

    def __init__(
        self,
        path: Path,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        parts: Mapping[str, Stateful] | None = None,
        *,
        writes: bool = True,
    ) -> None:
        self.path = path
        self.writes = writes
        self.model = model
        self.optimizer = optimizer
        self.parts = dict(parts or {})
        self.extra: dict[str, Any] = {}
        self.saved: int | None = None

    def load(self) -> int:
        """Restore everything and return the number of steps taken; 0 when the run was ended before its first checkpoint.

        Raises:
            ConfigError: when the file belongs to another model.
            DataError: when it cannot be read or is damaged; it names the state before it, where that is a good one.
        """
        if not self.path.exists():
            return 0
        try:
            self.saved, self.extra = load_state(self.path, self.model, self.optimizer, self.parts)
        except DataError as error:
            raise DataError([*error.problems, *_offered(previous_state(self.path), self.path)]) from error
        return self.saved

    def save(self, iteration: int) -> None:
        """Write the state after ``iteration`` steps; nothing when the file holds it already.

        The state never includes the result of an evaluation of this same iteration; see ``EvalHook``.

        Raises:
            TrainingError: when a weight is not finite; the file stays as it was.
        """
        if iteration == self.saved or not self.writes:
            return
        broken = first_not_finite(self.model)
        if broken:
            raise TrainingError(f"iteration {iteration}: {broken} of the model is not finite; {self.path} stays as it was")
        save_state(self.path, self.model, self.optimizer, iteration, self.extra, self.parts)
        self.saved = iteration

    def digest(self) -> str:
        """A hash of the weights, the momentum and the parts, by which processes see whether theirs are the same."""
        parts = {name: part.state_dict() for name, part in self.parts.items()}
        state = {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()["state"], "parts": parts}
        return repr((self.saved, _sums(state)))


def previous_state(path: Path) -> Path:
    """Where the state before that in ``path`` is."""
    return path.with_name(f"{path.stem}.previous{path.suffix}")


def _offered(previous: Path, path: Path) -> list[str]:
    """A line that offers the state before, when there is a good one."""
    try:
        iteration = _read(previous)["iteration"]
    except (ConfigError, DataError):
        return []
    return [f"{previous} holds the state of iteration {iteration}: to continue from it, rename it to {path.name}"]


def save_state(
    path: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    iteration: int,
    extra: dict[str, Any] | None = None,
    parts: Mapping[str, Stateful] | None = None,
) -> None:
    """Write model, optimizer, iteration, ``extra`` and the states of ``parts`` to one file, atomically.

    The file that it replaces stays beside it, see ``previous_state``.

    Raises:
        TypeError: when ``extra`` holds something that reading without pickle would refuse, a NumPy scalar for instance.
    """
    _check_plain(extra, "extra")
    state = {
        "format": _FORMAT,
        "iteration": iteration,
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "extra": extra or {},
        "parts": {name: part.state_dict() for name, part in (parts or {}).items()},
    }
    state["checksums"] = _sums(state)
    atomic_write(path, lambda temporary: torch.save(state, temporary), previous_state(path))


def load_state(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, parts: Mapping[str, Stateful] | None = None
) -> tuple[int, dict[str, Any]]:
    """Load the state in ``path`` into ``model``, ``optimizer`` and ``parts``; on an error none of them changes.

    The optimizer keeps its own options (momentum, weight decay).

    Returns:
        The iteration and ``extra`` of ``save_state``.

    Raises:
        ConfigError: when the file is missing, or names and shapes are not those of the model.
        DataError: when it is not a training state, or damaged.
    """
    state = _read(path)
    parts, saved = parts or {}, state.get("parts", {})
    problems = [*_model_problems(state["model"], model), *_optimizer_problems(state["optimizer"], optimizer)]
    problems += [f"it lacks the state of the {name}" for name in parts if name not in saved]
    if problems:
        more = [f"{path}: … and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
        raise ConfigError([f"{path} is of another model: {problem}" for problem in problems[:_SHOWN]] + more)
    model.load_state_dict(state["model"])
    options = [{key: value for key, value in group.items() if key != "params"} for group in optimizer.param_groups]
    optimizer.load_state_dict(state["optimizer"])
    for group, own in zip(optimizer.param_groups, options, strict=True):  # these are the config's, which may have changed
        group.update(own)
    for name, part in parts.items():
        part.load_state_dict(saved[name])
    return state["iteration"], state["extra"]


def _read(path: Path) -> dict[str, Any]:
    try:
        state = torch.load(regular(path), map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file") from None
    except MemoryError:
        raise
    except Exception as error:  # a damaged file can make the unpickler raise anything
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise DataError(f"{path}: not a readable training state: {reason}") from error
    if not isinstance(state, dict) or state.get("format") != _FORMAT:
        raise DataError(f"{path}: not a training state of this version ({_FORMAT!r})")
    wrong = [name for name, kind in _LAYOUT.items() if not isinstance(state.get(name), kind)]
    if wrong:
        raise DataError(f"{path}: not a whole training state: it lacks {', '.join(wrong)}, or has something else there")
    if "checksums" in state and (problems := _damage(state, state.pop("checksums"))):
        raise DataError([f"{path}: {problem}" for problem in problems])
    return state


def _sums(state: Mapping[str, Any]) -> dict[str, Any]:
    """The checksums of a state: of each tensor, and of everything else."""
    tensors, values = _parts(state)
    return {"tensors": checksums(tensors), "values": text_checksum(values)}


def _damage(state: Mapping[str, Any], written: Any) -> list[str]:
    tensors, values = _parts(state)
    if not isinstance(written, dict) or not isinstance(written.get("tensors"), dict):
        return ["its checksums are damaged"]
    other = [] if written.get("values") == text_checksum(values) else ["its numbers and names differ from what was written"]
    return damage(tensors, written["tensors"]) + other


def _parts(state: Mapping[str, Any]) -> tuple[dict[str, Tensor], str]:
    """The tensors of nested containers by their paths, and all else as a text."""
    tensors: dict[str, Tensor] = {}
    lines: list[str] = []

    def walk(value: Any, name: str) -> None:
        if isinstance(value, Tensor):
            tensors[name] = value
        elif isinstance(value, Mapping):
            lines.append(f"{name} {[*value]!r}")
            for key, item in value.items():
                walk(item, f"{name}/{key}" if name else str(key))
        elif isinstance(value, (list, tuple)):
            lines.append(f"{name} {len(value)}")
            for index, item in enumerate(value):
                walk(item, f"{name}/{index}")
        else:
            lines.append(f"{name} {value!r}")

    walk(state, "")
    return tensors, "\n".join(lines)


def _model_problems(saved: dict[str, Tensor], model: nn.Module) -> Iterator[str]:
    wanted = model.state_dict()
    for name, tensor in wanted.items():
        if name not in saved:
            yield f"it lacks {name!r}"
        elif saved[name].shape != tensor.shape:
            yield f"{name!r} has shape {tuple(saved[name].shape)}, the model's {tuple(tensor.shape)}"
    for name in saved:
        if name not in wanted:
            yield f"the model has no {name!r}"


def _optimizer_problems(saved: dict[str, Any], optimizer: torch.optim.Optimizer) -> Iterator[str]:
    ours = [len(group["params"]) for group in optimizer.param_groups]
    theirs = [len(group["params"]) for group in saved["param_groups"]]
    if ours != theirs:
        yield f"it trains {sum(theirs)} parameters, the optimizer {sum(ours)}"
        return
    parameters = parameters_of(optimizer)
    for index, parameter in enumerate(parameters):
        momentum = saved["state"].get(index, {}).get("momentum_buffer")
        if momentum is not None and momentum.shape != parameter.shape:
            yield f"momentum {index} has shape {tuple(momentum.shape)}, its parameter {tuple(parameter.shape)}"


def first_not_finite(model: nn.Module) -> str:
    """The first floating-point tensor of the model that holds inf or NaN; "" when none does. One synchronization."""
    tensors = {name: tensor for name, tensor in model.state_dict().items() if tensor.is_floating_point()}
    if not tensors:
        return ""
    finite = torch.stack([tensor.isfinite().all() for tensor in tensors.values()]).tolist()
    return next((repr(name) for name, good in zip(tensors, finite, strict=True) if not good), "")


def _check_plain(value: Any, name: str) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            _check_plain(item, f"{name}[{key!r}]")
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            _check_plain(item, f"{name}[{index}]")
    # type and not isinstance: NumPy's float64 is a float too, but it cannot be read back
    elif type(value) not in (Tensor, bool, int, float, str, type(None)):
        raise TypeError(f"{name} must be a plain value or tensor, got {type(value).__name__}")
