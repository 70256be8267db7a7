"""Deals files to processes, and keeps what each part of them gave until all of it is written."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from resdet.console import say
from resdet.distributed.ranks import Ranks
from resdet.errors import DataError
from resdet.files import read_json, write_json
from resdet.progress import track

Row: TypeAlias = dict[str, Any]  # of predictions.json
_FOLDER = ".predict"


class Parts:
    """Parts of the files to predict, each the work of one process, with a record of each that is done.

    A record lies in ``.predict`` in the output folder and is called by all that its rows depend on: the files with their sizes
    and times, and what was asked. So a run that goes on finds what is done of exactly its work, and nothing else.

    Args:
        folder: the output folder, which all processes see.
        asked: what the rows depend on besides the files, as JSON.
        parts: the files of each part, and the name of their results.
        ranks: the processes.
        resume: parts that are recorded, and in which no file has failed, are not done again.
    """

    def __init__(
        self, folder: Path, asked: object, parts: Sequence[Sequence[tuple[Path, str]]], ranks: Ranks, *, resume: bool
    ) -> None:
        self._folder = folder / _FOLDER
        self._ranks = ranks
        self._titles = [str(files[0][0]) for files in parts]
        self._sizes = [len(files) for files in parts]
        self._records = [self._folder / f"{key}.json" for key in ranks.once(lambda: [_key(asked, files) for files in parts])]
        self._left = ranks.once(lambda: self._begin(resume))

    def _begin(self, resume: bool) -> list[int]:
        """The numbers of the parts that are to be done; the records of others, from an earlier run, are removed."""
        if not resume:
            self.forget()
        left = [number for number, record in enumerate(self._records) if not _complete(record)]
        if resume:
            say(f"{len(self._records) - len(left)} of {len(self._records)} parts were done before", error=True)
        return left

    def work(self, work: Callable[[int, Callable[[Row], None]], None]) -> None:
        """Do this process's share of the parts that are left, and wait for the others.

        Args:
            work: is given the number of a part, and what to call with each of its rows; the DataError in which it tells of
                files is kept with the rows.
        """
        own = list(self._ranks.deal(self._left))
        sizes = [self._sizes[number] for number in own]
        for number in track(own, sum(sizes), "files", sizes) if self._ranks.first else own:
            self._ranks.doing(f"part {number + 1} of {len(self._records)} ({self._titles[number]})")
            rows: list[Row] = []
            problems: Sequence[str] = ()
            try:
                work(number, rows.append)
            except DataError as error:
                problems = error.problems
            write_json(self._records[number], {"rows": rows, "problems": problems}, indent=None)
        self._ranks.doing("")
        self._ranks.any(False)

    def rows(self) -> Iterator[tuple[int, Row]]:
        """The rows of all parts that are done, in order, each with the number of its part."""
        for number, record in enumerate(self._records):
            if record.exists():
                for row in read_json(record)["rows"]:
                    yield number, row

    def problems(self) -> list[str]:
        """What is to be told of files, in their order."""
        return [problem for record in self._records for problem in read_json(record)["problems"]]

    def forget(self) -> None:
        """Remove the records."""
        for record in self._records:
            record.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # there is none, or it holds records of other work
            self._folder.rmdir()


def stamp(path: Path) -> tuple[str, int, int]:
    """A file's path, its size in bytes, and when it was last written, ns; -1 where there is none."""
    with contextlib.suppress(OSError):
        status = path.stat()
        return str(path), status.st_size, status.st_mtime_ns
    return str(path), -1, -1


def _key(asked: object, files: Sequence[tuple[Path, str]]) -> str:
    text = json.dumps([asked, [(stamp(path), name) for path, name in files]], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _complete(record: Path) -> bool:
    return record.exists() and not read_json(record)["problems"]
