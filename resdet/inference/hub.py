"""Model files on the Hugging Face Hub: ``hf://owner/name`` in the place of a path, and uploads."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

from resdet.errors import ConfigError, ResdetError
from resdet.inference.hub_card import readme
from resdet.models.model_file import read_model
from resdet.wording import reason_of

SCHEME = "hf://"
_FILE = "model.safetensors"
_ADDRESS = re.compile(r"hf://([\w.-]+/[\w.-]+)(?:/([\w./-]+))?")


def local_file(path: str | Path) -> str | Path:
    """The file itself: what ``hf://owner/name[/file]`` names is fetched into the Hub's cache, once; other paths stay.

    Without a file ``model.safetensors`` is meant. Only safetensors files are fetched, which hold no code.

    Raises:
        ConfigError: an address of another form, no such repository or file, or no package huggingface_hub.
        ResdetError: the Hub cannot be reached, or refuses.
    """
    if not str(path).startswith(SCHEME):
        return path
    match = _ADDRESS.fullmatch(str(path))
    name = (match[2] or _FILE) if match else ""
    if not match or not name.endswith(".safetensors") or ".." in name.split("/"):
        raise ConfigError(f"{path}: must be hf://owner/name or hf://owner/name/file.safetensors")
    with _errors_of(str(path)):
        from huggingface_hub import hf_hub_download

        return Path(hf_hub_download(match[1], name))


def push(path: str | Path, repository: str, *, private: bool = False) -> str:
    """Upload a model file as ``model.safetensors``, with a README written from its card; returns the repository's address.

    The repository is made where there is none. Who uploads is what `hf auth login` or ``HF_TOKEN`` says.

    Args:
        path: a file that training or ``save`` wrote.
        repository: "owner/name".
        private: whether a new repository is for its owner alone.

    Raises:
        ConfigError: no such file, another form of ``repository``, or no package huggingface_hub.
        DataError: a damaged file.
        ResdetError: the Hub cannot be reached, or refuses.
    """
    if not _ADDRESS.fullmatch(f"{SCHEME}{repository}") or repository.count("/") != 1:
        raise ConfigError(f"the repository must be owner/name, got {repository!r}")
    _, card = read_model(path)  # with its tensors, whose checksums are compared
    with _errors_of(repository):
        from huggingface_hub import CommitOperationAdd, HfApi

        hub = HfApi()
        address = str(hub.create_repo(repository, private=private, exist_ok=True))
        files = [
            CommitOperationAdd(_FILE, str(path)),
            CommitOperationAdd("README.md", readme(card, repository).encode()),
        ]
        hub.create_commit(repository, files, commit_message="Upload a resdet model")
        return address


@contextlib.contextmanager
def _errors_of(what: str) -> Iterator[None]:
    """Tell what can go wrong with the Hub in the words of this package."""
    try:
        from huggingface_hub import errors
    except ImportError as error:
        raise ConfigError(f"{what}: the Hub needs a package that is not installed: pip install 'resdet[hub]'") from error
    try:
        yield
    except errors.HFValidationError as error:
        raise ConfigError(f"{what}: no name of the Hub: {reason_of(error, 300)}") from error
    except errors.GatedRepoError as error:
        raise ResdetError(f"{what}: its owner must let you in first: {reason_of(error, 300)}") from error
    except errors.RepositoryNotFoundError as error:
        raise ConfigError(f"{what}: no such repository on the Hub, or a private one that needs `hf auth login`") from error
    except errors.LocalEntryNotFoundError as error:
        raise ResdetError(f"{what}: is not in the cache, and the Hub cannot be reached") from error
    except errors.EntryNotFoundError as error:
        raise ConfigError(f"{what}: the repository has no such file") from error
    # its bases are the errors of the library for HTTP, whichever that is in this release, without a connection for one
    except (*errors.HfHubHTTPError.__bases__, OSError) as error:  # type: ignore[misc]
        raise ResdetError(f"{what}: the Hub refuses, or cannot be reached: {reason_of(error, 300)}") from error
