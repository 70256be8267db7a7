"""What all paths of one's own have in common: archives, the names of parts, a folder that holds nothing but a folder."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from resdet import system
from resdet.data.download.archives import unpack
from resdet.errors import ConfigError
from resdet.files import cache_folder, identity, sha256_of, unfinished_folder, walk_files

# names of parts in the order in which they are taken
TRAIN = ("train", "training", "trainval", "train2017")
VAL = ("val", "valid", "validation", "dev", "val2017", "test", "testing")
HIDDEN = (".", "__MACOSX")  # how names begin of what programs put beside the files
_WORD = re.compile(r"[a-z0-9]+")
_ARCHIVES = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.xz", ".tar.bz2")


def opened(path: str | Path) -> Path:
    """The folder or file that a path names; of an archive the folder of its files, which is unpacked into the cache once.

    Raises:
        ConfigError: there is no such path.
        DataError: a broken archive.
    """
    place = Path(path).expanduser()
    if not os.path.exists(place):  # noqa: PTH110  (False, not an error, for a name too long)
        raise ConfigError(f"--data must name a folder, an annotation file or an archive, got {str(path)!r}")
    while place.is_file() and place.name.lower().endswith(_ARCHIVES):
        place = _unpacked(place)
        inner = [entry for entry in place.iterdir() if not entry.name.startswith(HIDDEN)]
        place = inner[0] if len(inner) == 1 and inner[0].is_file() else place
    return place


def part_named(names: Iterable[str], part: Sequence[str]) -> str | None:
    """The one of ``names`` that is a name of a part, "Train", or else has one as a word, "seg_train"; None: none is."""
    given = sorted(names)
    whole = [name for word in part for name in given if name.lower() == word]
    return next(iter(whole + [name for word in part for name in given if word in _WORD.findall(name.lower())]), None)


def folders_of(root: Path) -> dict[str, Path]:
    """The folders in ``root``, by their names, sorted; without hidden ones, and links back to a folder above."""
    folders = [entry for entry in sorted(root.iterdir()) if entry.is_dir() and not entry.name.startswith(HIDDEN)]
    return {entry.name: entry for entry in folders if not (entry.is_symlink() and _leads_back(entry))}


def _leads_back(link: Path) -> bool:
    return identity(link) in map(identity, link.absolute().parents)


def lone_folders(root: Path) -> list[Path]:
    """``root``, the one folder in it that holds files, as archives often have around all, the one in that, and so on."""
    chain = [root]
    while len(folders := [folder for folder in folders_of(chain[-1]).values() if next(walk_files(folder), None)]) == 1:
        chain += folders
    return chain


def _unpacked(archive: Path) -> Path:
    """The folder of an archive's files, in the cache; it is unpacked when it was not before."""
    target = cache_folder() / "data" / f"{archive.name.partition('.')[0]}-{sha256_of(archive)[:12]}"
    if not target.exists():
        with unfinished_folder(target) as folder:
            unpack(archive, folder / "files")
            try:
                system.replace(folder / "files", target)
            except OSError:
                if not target.is_dir():  # else another process was sooner
                    raise
    return target
