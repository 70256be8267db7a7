"""Model files: safetensors with a JSON card, enough to run alone.

The card lies in the file's metadata under the key ``resdet``, with a checksum of itself and of every tensor, which are compared
on every reading. Files of releases before these have none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from resdet.errors import ConfigError, DataError
from resdet.files import atomic_write, parse_json, regular
from resdet.models.intact import checksums, damage, text_checksum, unusable
from resdet.models.wrong_files import no_weights
from resdet.wording import reason_of, shown_briefly

FORMAT = 1
ModuleT = TypeVar("ModuleT", bound=nn.Module)
_KINDS: dict[str, type] = {"task": str, "architecture": dict, "names": list, "pixels": dict, "test": dict}  # what a card needs


@dataclass(frozen=True)
class ModelCard:
    """What a model file says of itself.

    Attributes:
        task: ``"classification"``, ``"detection"``, or ``"backbone"`` for weights to start from that run nothing alone.
        architecture: the model section of the run config, plain values.
        names: the class names, in label order.
        pixels: ``PixelConvention.to_dict()``.
        test: how images are resized before the network sees them, e.g. ``{"short_side": 600, "max_side": 1000}``.
        provenance: versions, iterations, data: for people.
        format: version of this layout.
    """

    task: str
    architecture: dict[str, Any]
    names: list[str]
    pixels: dict[str, Any]
    test: dict[str, Any]
    provenance: dict[str, Any] = field(default_factory=dict)
    format: int = FORMAT


def write_model(path: str | Path, state: dict[str, Tensor], card: ModelCard) -> None:
    """Write tensors and card to ``path``, atomically."""
    # copies: safetensors refuses tensors that share memory, as those of some files do
    tensors = {key: value.detach().to("cpu", copy=True).contiguous() for key, value in state.items()}
    values = asdict(card)
    # beside the card's values and not under a key of its own: safetensors writes several keys in any order
    sums = {"card": text_checksum(json.dumps(values)), "tensors": checksums(tensors)}
    metadata = {"resdet": json.dumps({**values, "checksums": sums})}
    atomic_write(path, lambda temporary: save_file(tensors, temporary, metadata))


def card_text(card: ModelCard) -> str:
    """The card as JSON, as files hold it."""
    return json.dumps(asdict(card))


def read_model(path: str | Path) -> tuple[dict[str, Tensor], ModelCard]:
    """Read what ``write_model`` wrote.

    Raises:
        ConfigError: no such file, a safetensors file without a card, or one of a newer format.
        DataError: not a safetensors file, a truncated one, or one that differs from what was written; it names the tensors.
    """
    return _read(Path(path), tensors=True)


def load_tensors(model: ModuleT, path: str | Path, state: dict[str, Tensor]) -> ModuleT:
    """The network that a file's card describes, with the file's tensors, in eval mode.

    Raises:
        ConfigError: where they do not fit.
        DataError: where they are NaN or infinite, or a variance is below 0.
    """
    if problems := unusable(state):
        raise DataError([f"{path}: {problem}" for problem in problems])
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise ConfigError(f"{path}: its tensors do not fit its card: {reason_of(error, 600)}") from error
    return model.eval()


@dataclass(frozen=True)
class FileVersion:
    """A model file as it was at one time, to be read again later.

    Attributes:
        path: the file.
        mark: its size in bytes, and when it was changed last, nanoseconds.
    """

    path: Path
    mark: tuple[int, int]

    @classmethod
    def of(cls, path: str | Path) -> FileVersion:
        """The file as it is now; a ConfigError when there is none."""
        return cls(Path(path), _mark(Path(path)))

    def read(self) -> dict[str, Tensor]:
        """Its tensors; a ConfigError when it has changed or gone, a DataError when it cannot be read."""
        if _mark(self.path) != self.mark:
            raise ConfigError(f"{self.path}: has changed since the model was loaded from it")
        return read_model(self.path)[0]


def check_file(path: Path) -> None:
    """A ConfigError that says what is in the place of a model file, when it is no file."""
    if not path.is_file():
        there = "is a folder, name the file in it" if path.is_dir() else "is no file" if path.exists() else "no such model file"
        raise ConfigError(f"{path}: {there}")


def _mark(path: Path) -> tuple[int, int]:
    check_file(path)
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def read_card(path: str | Path) -> ModelCard:
    """The card of a file of ``write_model``, without its tensors; raises as ``read_model`` does."""
    return _read(Path(path), tensors=False)[1]


def _read(path: Path, *, tensors: bool) -> tuple[dict[str, Tensor], ModelCard]:
    check_file(path)
    try:
        with safe_open(regular(path), framework="pt") as opened:
            metadata = opened.metadata() or {}
            state = {key: opened.get_tensor(key) for key in opened.keys()} if tensors else {}  # noqa: SIM118  (no mapping)
    # a shape that torch cannot have: more than 63 bits in a number, for one
    except (SafetensorError, OSError, TypeError, ValueError, RuntimeError) as error:
        reason = str(error).partition("\n")[0]
        if problem := no_weights(path):
            raise DataError(f"{path}: {problem}") from error
        hint = "" if path.suffix == ".safetensors" else "; `resdet convert` makes one of other toolkits' weights"
        raise DataError(f"{path}: not a safetensors model file: {reason}{hint}") from error
    if "resdet" not in metadata:
        raise ConfigError(
            f"{path}: holds weights without a resdet card: `resdet convert` makes a model file of it; a run file may name it "
            "as `model.backbone.weights`"
        )
    return state, card_from_text(path, metadata["resdet"], state if tensors else None)


def card_from_text(path: str | Path, text: str, state: Mapping[str, Tensor] | None = None) -> ModelCard:
    """The card of a file that holds it as JSON, with its checksums compared where there are tensors.

    Raises:
        ConfigError: a newer format.
        DataError: what is no card, or another one than was written.
    """
    values = object_of(path, "its model card", text)
    # before the keys are looked at: a newer format may have others
    if format_of(path, "its model card", {"format": FORMAT, **values}) > FORMAT:
        raise ConfigError(f"{path}: model file format {values['format']}, this version reads up to {FORMAT}")
    check_sums(path, values, state)
    known = [each.name for each in fields(ModelCard)]
    problems = [f" cannot be read: {name!r} is missing" for name in _KINDS if name not in values]
    problems += [f" cannot be read: {shown_briefly(name)} is no part of a card" for name in values if name not in known]
    problems += [
        f": {name!r} must be a {kind.__name__}, got {shown_briefly(values[name])}"
        for name, kind in _KINDS.items()
        if name in values and not isinstance(values[name], kind)
    ]
    if problems:
        raise DataError([f"{path}: its model card{problem}" for problem in problems])
    card = ModelCard(**values)
    if not all(isinstance(name, str) for name in card.names):
        raise DataError(f"{path}: its model card: 'names' must be texts")
    return card


def object_of(path: str | Path, what: str, text: str) -> dict[str, Any]:
    """The JSON object that a text in a file is, ``what`` for messages; a DataError when it is none."""
    try:
        values = parse_json(text)
    except ValueError as error:
        raise DataError(f"{path}: {what} cannot be read: is not JSON: {error}") from error
    if not isinstance(values, dict):
        raise DataError(f"{path}: {what} cannot be read: must be a JSON object, got {shown_briefly(values)}")
    return values


def format_of(path: str | Path, what: str, values: Mapping[str, Any]) -> int:
    """The number of a layout that such an object says; a DataError when it is none."""
    number = values.get("format")
    if type(number) is not int or number < 1:
        raise DataError(
            f"{path}: {what} cannot be read: 'format' must be a whole number, 1 or more, got {shown_briefly(number)}"
        )
    return number


def check_sums(path: str | Path, values: dict[str, Any], state: Mapping[str, Tensor] | None) -> None:
    """Take the checksums out of a card, and compare them with the rest of the file.

    Args:
        path: the file, for messages.
        values: what its metadata hold; those of earlier releases have no checksums.
        state: its tensors; None: the card alone is compared.

    Raises:
        DataError: with every difference.
    """
    if "checksums" not in values:
        return
    sums = values.pop("checksums")
    if not isinstance(sums, dict) or not isinstance(sums.get("tensors"), dict):
        raise DataError(f"{path}: its checksums cannot be read")
    problems = [] if sums.get("card") == text_checksum(json.dumps(values)) else ["its model card differs from what was written"]
    if state is not None:
        problems += damage(state, sums["tensors"])
    if problems:
        raise DataError([f"{path}: {problem}; the file must be written or copied again" for problem in problems])
