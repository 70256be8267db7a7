"""What is to be predicted, and where the results go."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from resdet.console import output, say, show
from resdet.distributed.ranks import Ranks
from resdet.errors import DataError
from resdet.prediction.inputs import Input
from resdet.prediction.parts import Parts, Row


@dataclass(frozen=True)
class Job:
    """Files to predict, with what is written of them.

    Attributes:
        files: the files.
        output: the folder for the results.
        formats: what is written: ``pictures``, and names of ``resdet.prediction.outputs.OUTPUTS``.
        asked: what the results depend on besides the files, as JSON.
        ranks: the processes that share the work.
        resume: what is recorded as done is not done again.
    """

    files: Sequence[Input]
    output: Path
    formats: Sequence[str]
    asked: object
    ranks: Ranks
    resume: bool

    def carry_out(
        self,
        parts: Sequence[Sequence[tuple[Path, str]]],
        work: Callable[[int, Callable[[Row], None]], None],
        write: Callable[[Iterator[tuple[int, Row]]], None],
    ) -> None:
        """Do the work in parts, and have the first process write of it what belongs to all files.

        Args:
            parts: the files of each part, and the name of their results.
            work: see ``Parts.work``.
            write: is given all rows, each with the number of its part.

        Raises:
            DataError: in the first process, with what is to be told of files; the others are done.
        """
        dealt = Parts(self.output, self.asked, parts, self.ranks, resume=self.resume)
        try:
            dealt.work(work)
        finally:
            if self.ranks.first:  # of what there is, where something has ended the work
                write(dealt.rows())
                if output.json:
                    show("", {"predictions": [row for _, row in dealt.rows()]})
        if not self.ranks.first:
            return
        problems = dealt.problems()
        dealt.forget()
        say(f"{len(self.files) - len(problems)} of {len(self.files)} files done, written: {self.output}", error=True)
        if problems:
            raise DataError(problems)
