"""From a weights file to tensors under torchvision's names; no pickle is executed."""

from __future__ import annotations

import argparse
import re
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from torch import Tensor

from resdet.errors import ConfigError, DataError
from resdet.files import regular
from resdet.models.backbones.weights.wrappings import chosen_set, network_of, without_shared_prefix
from resdet.models.intact import all_finite, unusable
from resdet.models.model_file import check_sums, object_of
from resdet.models.wrong_files import no_weights
from resdet.pickles.read import read_pickle
from resdet.wording import first_few, reason_of

_OPTION = "option 'model.backbone.weights'"
_SAVE_TENSORS = "where that is installed, torch.save(model.state_dict(), 'weights.pth') writes the tensors alone"
_NO_TORCH_FILE = "not a torch weights file that can be read without executing a pickle, or a truncated one"
_MOST_UNREAD = 100  # names; for each the file is read once more
_HARMLESS = ("slice", "range", "frozenset")  # of Python's own names those of values
# how torch's own files begin: a zip archive, or the pickle of torch's magic number
_TORCH_STARTS = (b"PK", b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.")


@dataclass(frozen=True)
class WeightsFile:
    """What a weights file holds.

    Attributes:
        path: the file.
        state: tensors by torchvision's names; floating ones are float32.
        card: the JSON that resdet writes beside its tensors; None in a foreign file.
        notes: what was taken of a foreign file and what was left, where there was a choice, in sentences.
    """

    path: Path
    state: dict[str, Tensor]
    card: dict[str, Any] | None
    notes: tuple[str, ...] = ()


def read_weights(path: str | Path, take: str = "") -> WeightsFile:
    """Read a safetensors file, a torch ``.pth`` or a pickle of numpy arrays, a state dict plain or wrapped, on the CPU.

    Half precision is cast up to float32; what checkpoints wrap a network in is taken off (see ``wrappings``); a classifier
    called ``linear`` becomes ``fc``.

    Args:
        path: the file.
        take: "ema", "teacher" or "student", where a checkpoint has several sets of tensors; "": the network's own.

    Raises:
        ConfigError: no such file; no such set in it, or several networks of which none is the usual choice.
        DataError: the file cannot be read without executing a pickle, is truncated, holds no tensors, or holds NaN or infinity.
    """
    path = Path(path)
    if not path.is_file():
        raise ConfigError(f"{_OPTION}: {'a folder, name the file in it' if path.is_dir() else 'no such file'}: {path}")
    try:
        content, card, notes = _read_safetensors(path, take) if _is_safetensors(path) else _read_foreign(path, take)
        state = {key: _full_precision(value) for key, value in content.items()}
        state, decided = network_of(state) if card is None else (without_shared_prefix(state), [])
    except ConfigError as error:
        raise ConfigError([f"{path}: {problem}" for problem in error.problems]) from error
    broken = [key for key, value in state.items() if value.is_floating_point() and not all_finite(value)]
    if broken:
        raise DataError(f"{path}: NaN or infinity in {first_few(broken, 5)}")
    if problems := unusable(state):
        raise DataError([f"{path}: {problem}" for problem in problems])
    return WeightsFile(path, state, card, (*notes, *decided))


def _is_safetensors(path: Path) -> bool:
    """By name or by content: eight bytes of length, then a JSON object."""
    with path.open("rb") as file:
        return path.suffix == ".safetensors" or file.read(9)[8:] == b"{"


def _read_safetensors(path: Path, take: str) -> tuple[dict[str, Tensor], dict[str, Any] | None, list[str]]:
    if take:
        raise ConfigError(f"--take {take}: a safetensors file has one set of tensors")
    if problem := no_weights(path):
        raise DataError(f"{path}: {problem}")
    try:
        with safe_open(regular(path), framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  (not a mapping)
    except (SafetensorError, OSError, TypeError, ValueError, RuntimeError) as error:
        raise DataError(f"{path}: not a safetensors file, or a truncated one: {_line(error)}") from error
    card = object_of(path, "its model card", metadata["resdet"]) if "resdet" in metadata else None
    if card is not None:
        check_sums(path, card, tensors)
    tensors.pop("mean_image", None)  # a classifier's per-pixel mean; its mean colour stands in the card
    return tensors, card, []


def _read_foreign(path: Path, take: str) -> tuple[dict[str, Tensor], None, list[str]]:
    if problem := no_weights(path):
        raise DataError(f"{path}: {problem}")
    content, unread = (read_pickle(path), []) if _is_plain_pickle(path) else _read_torch(path)
    content, notes = chosen_set(content, take)
    if isinstance(content, Mapping):
        try:
            content = {key: _as_tensor(value) if isinstance(value, np.ndarray) else value for key, value in content.items()}
        except (TypeError, ValueError, OverflowError) as error:
            raise DataError(f"{path}: holds an array that is no tensor: {_line(error)}") from error
    if not isinstance(content, Mapping) or not content or not all(isinstance(value, Tensor) for value in content.values()):
        if unread:
            raise DataError(f"{path}: {_NO_TORCH_FILE}: it names {unread[0]}; {_SAVE_TENSORS}")
        raise DataError(f"{path}: must hold a state dict (names to tensors), got {_describe(content)}")
    if odd := [key for key, value in content.items() if not isinstance(key, str) or not _is_plain(value)]:
        raise DataError(f"{path}: must hold dense tensors under names, got {reprlib.repr(odd[0]):.80} for instance")
    return dict(content), None, [*notes, *([f"not read: {first_few(unread, 3)}"] if unread else [])]


def _is_plain(value: Tensor) -> bool:
    """Whether a tensor's numbers all lie in the file: no placeholder, nothing sparse or quantized, no number repeated."""
    dense = value.layout == torch.strided and value.device.type == "cpu" and not value.is_quantized
    return dense and value.numel() * value.element_size() <= value.untyped_storage().nbytes()


def _is_plain_pickle(path: Path) -> bool:
    """Whether a file is a pickle that torch did not write: by content, or by name where protocol 0 and 1 show nothing."""
    with path.open("rb") as file:
        start = file.read(20)
    return not start.startswith(_TORCH_STARTS) and (start.startswith(b"\x80") or path.suffix == ".pkl")


class _Unread:
    """What stands for an object beside tensors and plain values: it takes what the file gives it, and keeps nothing."""

    def __init__(self, *_arguments: Any) -> None: ...

    def __setstate__(self, _state: Any) -> None: ...

    def __setitem__(self, _key: Any, _value: Any) -> None: ...


def _read_torch(path: Path) -> tuple[Any, list[str]]:
    """What a file of torch holds, and the names in it of neither tensors nor plain values, for which nothing is imported."""
    unread: dict[str, type] = {}
    while True:
        try:
            # plain values under names: the options of a training
            with torch.serialization.safe_globals([argparse.Namespace, *unread.values()]):
                return torch.load(regular(path), map_location="cpu", weights_only=True), list(unread)
        except Exception as error:  # a file that is no torch file can make the unpickler raise anything
            forbidden = re.search(r"GLOBAL (\S+)", str(error))
            name = forbidden[1] if forbidden else ""
            module, _, last = name.rpartition(".")
            module = module or "builtins"  # which torch leaves out, from some release on
            harms = module == "builtins" and last not in _HARMLESS
            if not name or name in unread or harms or len(unread) == _MOST_UNREAD:
                raise DataError(
                    f"{path}: {_NO_TORCH_FILE}: {f'it names {name}; {_SAVE_TENSORS}' if name else _line(error)}"
                ) from error
            unread[name] = type(last, (_Unread,), {"__module__": module})


def _as_tensor(array: NDArray[Any]) -> Tensor:
    return torch.from_numpy(array.astype(array.dtype.newbyteorder("=")))  # a copy: a pickle's bytes cannot be written


def _full_precision(value: Tensor) -> Tensor:
    return value.float() if value.is_floating_point() else value


def _describe(content: object) -> str:
    if isinstance(content, Mapping):
        others = [f"{key!r}: {type(value).__name__}" for key, value in content.items() if not isinstance(value, Tensor)]
        return f"a mapping with {', '.join(others[:5])}" if others else "an empty mapping"
    return f"a {type(content).__name__}"


def _line(error: Exception) -> str:
    """The first sentence of an error's text, on one line."""
    return reason_of(error).split(". ")[0][:200]
