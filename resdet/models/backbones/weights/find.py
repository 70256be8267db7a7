"""Finds pretrained weights on this machine: in the project's folder, and in the caches of this and other toolkits."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from resdet.errors import ConfigError
from resdet.files import cache_folder
from resdet.models.backbones.weights.published import PUBLISHED_WEIGHTS

PROJECT = Path("datasets/weights")  # where the shipped run files expect weights
_SUFFIXES = (".pth", ".safetensors")


def find_weights(name: str) -> Path | None:
    """The pretrained weights of a backbone, ``"resnet18"`` for instance, that this machine has; None when there are none.

    Looked through in this order: ``datasets/weights`` (any file whose name is the backbone's, alone or followed by ``-``,
    ``_`` or ``.``), the toolkit's cache (the same), torch's cache (torchvision's files), Hugging Face's (timm's, for ImageNet).
    Within a folder the plain name comes first, then the file that `resdet weights download` fetches, then others by name, those
    of the authors' networks (``msra``, ``caffe``) last because they want other pixels.
    """
    return next((path for folder in (PROJECT, own_cache()) for path in _named(folder, name)), None) or next(
        (path for found in (_torchvision(name), _timm(name)) for path in found), None
    )


def own_cache() -> Path:
    """The folder that `resdet weights download` fills: ``resdet/weights`` in the cache folder of the user."""
    return cache_folder() / "weights"


def existing_weights(path: Path, name: str, *, narrow: bool = False) -> Path:
    """The file that option ``model.backbone.weights`` means.

    That is ``path`` itself. Where it is missing and is the place of a shipped run file, ``datasets/weights/<name>.pth``, the
    weights of ``find_weights`` are taken.

    Args:
        path: the option's value.
        name: the backbone's name.
        narrow: the network has another width than the published one, so published weights would not fit.

    Raises:
        ConfigError: when there is no file; it says where weights were looked for and how to get them.
    """
    if path.is_file():
        return path
    found = None if narrow else find_weights(name)
    if found and path.parent == PROJECT and path.stem == name and not path.exists():
        return found
    parts = [f"option 'model.backbone.weights': no such file: {path}"]
    if found:
        parts.append(f"weights of {name} are here: model.backbone.weights={found}")
    elif not narrow:
        parts.append(f"no weights of {name} either in {', '.join(str(place) for place in _places())}")
        if name in PUBLISHED_WEIGHTS:
            parts.append(f"`resdet weights download {name}` fetches them ({PUBLISHED_WEIGHTS[name].url})")
        parts.append("`resdet convert FILE DST.safetensors` turns another toolkit's file into one that is read here")
    raise ConfigError("; ".join(parts))


def _places() -> tuple[Path, ...]:
    return PROJECT, own_cache(), _torch_cache(), _hugging_face_cache()


def _named(folder: Path, name: str) -> list[Path]:
    """Files in ``folder`` whose name is ``name``, alone or with something after a separator, the best first."""
    pattern = re.compile(rf"{re.escape(name)}(?![A-Za-z0-9]).*")
    published = PUBLISHED_WEIGHTS[name].file if name in PUBLISHED_WEIGHTS else ""

    def order(path: Path) -> tuple[bool, bool, bool, str]:
        authors = re.search(r"msra|caffe", path.name, re.IGNORECASE) is not None
        return authors, path.stem != name, path.name != published, path.name

    return sorted((path for path in _files(folder) if path.suffix in _SUFFIXES and pattern.fullmatch(path.name)), key=order)


def _torchvision(name: str) -> list[Path]:
    """Files of torchvision in torch's cache: the name and eight digits of the file's hash."""
    pattern = re.compile(rf"{re.escape(name)}-[0-9a-f]{{8}}\.pth")
    return [path for path in _named(_torch_cache(), name) if pattern.fullmatch(path.name)]


def _timm(name: str) -> Iterator[Path]:
    """Files of timm in Hugging Face's cache that were trained on ImageNet, torchvision's weights first."""
    folders = sorted(
        (path for path in _hugging_face_cache().glob(f"models--timm--{name}.*_in1k")),
        key=lambda path: (not path.name.endswith(".tv_in1k"), path.name),
    )
    for folder in folders:
        yield from sorted(path for path in folder.glob("snapshots/*/model.safetensors") if path.is_file())


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_file()] if folder.is_dir() else []


def _torch_cache() -> Path:
    return _folder("TORCH_HOME", _user_cache() / "torch") / "hub" / "checkpoints"


def _hugging_face_cache() -> Path:
    return _folder("HF_HUB_CACHE", _folder("HF_HOME", _user_cache() / "huggingface") / "hub")


def _user_cache() -> Path:
    return cache_folder().parent


def _folder(variable: str, otherwise: Path) -> Path:
    return Path(os.environ[variable]).expanduser() if os.environ.get(variable) else otherwise
