"""From a weights file to tensors under torchvision's names; no pickle is executed."""

from __future__ import annotations

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
from resdet.files import parse_json, regular
from resdet.models.intact import all_finite
from resdet.models.model_file import check_sums
from resdet.pickles.read import read_pickle

_OPTION = "option 'model.backbone.weights'"
# what public files wrap a state dict in: DataParallel's name, our classifier's attribute
_PREFIXES = ("module.", "backbone.")
_CONTAINERS = ("state_dict", "model", "blobs")
# how torch's own files begin: a zip archive, or the pickle of torch's magic number
_TORCH_STARTS = (b"PK", b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.")


@dataclass(frozen=True)
class WeightsFile:
    """What a weights file holds.

    Attributes:
        path: the file.
        state: tensors by torchvision's names; floating ones are float32.
        card: the JSON that resdet writes beside its tensors; None in a foreign file.
    """

    path: Path
    state: dict[str, Tensor]
    card: dict[str, Any] | None


def read_weights(path: str | Path) -> WeightsFile:
    """Read a safetensors file, a torch ``.pth`` or a pickle of numpy arrays, a state dict plain or wrapped, on the CPU.

    Half precision is cast up to float32; prefixes that all keys share (``module.``, ``backbone.``) are cut off; a classifier
    called ``linear`` becomes ``fc``.

    Raises:
        ConfigError: no such file.
        DataError: the file cannot be read without executing a pickle, is truncated, holds no tensors, or holds NaN or infinity.
    """
    path = Path(path)
    if not path.is_file():
        raise ConfigError(f"{_OPTION}: no such file: {path}")
    content, card = _read_safetensors(path) if _is_safetensors(path) else (_read_foreign(path), None)
    state = _rename({key: _full_precision(value) for key, value in content.items()})
    broken = [key for key, value in state.items() if value.is_floating_point() and not all_finite(value)]
    if broken:
        raise DataError(
            f"{path}: NaN or infinity in {', '.join(broken[:5])}" + (f" and {len(broken) - 5} more" if len(broken) > 5 else "")
        )
    return WeightsFile(path, state, card)


def _is_safetensors(path: Path) -> bool:
    """By name or by content: eight bytes of length, then a JSON object."""
    with path.open("rb") as file:
        return path.suffix == ".safetensors" or file.read(9)[8:] == b"{"


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any] | None]:
    try:
        with safe_open(regular(path), framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  (not a mapping)
        card = parse_json(metadata["resdet"]) if "resdet" in metadata else None
        if isinstance(card, dict):
            check_sums(path, card, tensors)
        tensors.pop("mean_image", None)  # a classifier's per-pixel mean; its mean colour stands in the card
    except (SafetensorError, OSError, TypeError, ValueError, RuntimeError) as error:
        raise DataError(f"{path}: not a safetensors file, or a truncated one: {_line(error)}") from error
    if card is not None and not isinstance(card, dict):
        raise DataError(f"{path}: its resdet metadata must be a JSON object, got {type(card).__name__}")
    return tensors, card


def _read_foreign(path: Path) -> dict[str, Tensor]:
    content = read_pickle(path) if _is_plain_pickle(path) else _read_torch(path)
    for key in _CONTAINERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if isinstance(content, Mapping):
        try:
            content = {key: _as_tensor(value) if isinstance(value, np.ndarray) else value for key, value in content.items()}
        except (TypeError, ValueError, OverflowError) as error:
            raise DataError(f"{path}: holds an array that is no tensor: {_line(error)}") from error
    if not isinstance(content, Mapping) or not content or not all(isinstance(value, Tensor) for value in content.values()):
        raise DataError(f"{path}: must hold a state dict (names to tensors), got {_describe(content)}")
    if odd := [key for key, value in content.items() if not isinstance(key, str) or not _is_plain(value)]:
        raise DataError(f"{path}: must hold dense tensors under names, got {reprlib.repr(odd[0]):.80} for instance")
    return dict(content)


def _is_plain(value: Tensor) -> bool:
    """Whether a tensor's numbers all lie in the file: no placeholder, nothing sparse or quantized, no number repeated."""
    dense = value.layout == torch.strided and value.device.type == "cpu" and not value.is_quantized
    return dense and value.numel() * value.element_size() <= value.untyped_storage().nbytes()


def _is_plain_pickle(path: Path) -> bool:
    """Whether a file is a pickle that torch did not write: by content, or by name where protocol 0 and 1 show nothing."""
    with path.open("rb") as file:
        start = file.read(20)
    return not start.startswith(_TORCH_STARTS) and (start.startswith(b"\x80") or path.suffix == ".pkl")


def _read_torch(path: Path) -> Any:
    try:
        return torch.load(regular(path), map_location="cpu", weights_only=True)
    except Exception as error:  # a file that is no torch file can make the unpickler raise anything
        forbidden = re.search(r"GLOBAL (\S+)", str(error))
        raise DataError(
            f"{path}: not a torch weights file that can be read without executing a pickle, or a truncated one: "
            + (f"it names {forbidden[1]}" if forbidden else _line(error))
        ) from error


def _as_tensor(array: NDArray[Any]) -> Tensor:
    return torch.from_numpy(array.astype(array.dtype.newbyteorder("=")))  # a copy: a pickle's bytes cannot be written


def _full_precision(value: Tensor) -> Tensor:
    return value.float() if value.is_floating_point() else value


def _rename(state: dict[str, Tensor]) -> dict[str, Tensor]:
    for prefix in _PREFIXES:
        if state and all(key.startswith(prefix) for key in state):
            state = {key.removeprefix(prefix): value for key, value in state.items()}
    return {f"fc.{key.removeprefix('linear.')}" if key.startswith("linear.") else key: value for key, value in state.items()}


def _describe(content: object) -> str:
    if isinstance(content, Mapping):
        others = [f"{key!r}: {type(value).__name__}" for key, value in content.items() if not isinstance(value, Tensor)]
        return f"a mapping with {', '.join(others[:5])}" if others else "an empty mapping"
    return f"a {type(content).__name__}"


def _line(error: Exception) -> str:
    """The first sentence of an error's text, on one line."""
    return " ".join(str(error).split()).split(". ")[0][:200] or type(error).__name__
