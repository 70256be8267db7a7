"""Which of several ways to compute the same thing is fastest on this machine: measured once, and remembered.

How fast a product is depends on the processor, on what may be used of it, on threads, shapes and libraries. So where a model is
made ready its products are measured on slices of their own shapes, in seconds altogether, and what was found is kept in a file
of the cache folder under all that it depends on. The file may be deleted at any time.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import os
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from resdet.errors import DataError
from resdet.files import cache_folder, read_json, write_json
from resdet.system import processor_name

_log = logging.getLogger(__name__)

CAPS = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY", "MKL_CBWR", "MKL_ENABLE_INSTRUCTIONS")
PINS = ("auto", "torch", "onednn")
_ROUNDS, _SECONDS = 7, 0.1  # of each way at most; three rounds at least
_GAIN = 0.95  # the first way is kept unless another takes less than this share of its time: clocks are noisy


class Kernels:
    """Answers questions of the kind "which way is fastest", measuring where nothing is remembered.

    Args:
        pin: "auto" measures; "torch" and "onednn" take the way of this name where it is offered, else the first.
        file: where answers are remembered; None: nowhere but in this object.

    Attributes:
        answers: every question asked so far, with its answer.
    """

    def __init__(self, pin: str = "auto", file: Path | None = None) -> None:
        self.pin = pin
        self.file = file
        self.answers: dict[str, str] = {}

    def fastest(self, question: str, ways: Sequence[str], trial: Callable[[str], Callable[[], Tensor]]) -> str:
        """One of ``ways``.

        Args:
            question: names what is computed, with dtype and shape: the same question has one answer on one machine.
            ways: their names; the first is the one that needs no reason, and the oracle of the others: one whose results are
                not the first's, but for rounding, is never taken.
            trial: makes a way ready, on a slice, and returns what is to be measured.
        """
        if question not in self.answers:
            if self.pin != "auto" or len(ways) == 1:
                answer = self.pin if self.pin in ways else ways[0]
            else:
                answer = self._remembered.get(question, "")
            if answer not in ways:
                answer = _measured(question, ways, trial)
                _remember(self.file, question, answer)
            self.answers[question] = answer
        return self.answers[question]

    @functools.cached_property
    def _remembered(self) -> dict[str, str]:
        """What the file holds of this machine: read once, for a network asks dozens of questions."""
        return remembered_answers(self.file).get(machine_key(), {}) if self.file else {}


def default_kernels(pin: str = "auto") -> Kernels:
    """Kernels that remember in the cache folder what they measure."""
    return Kernels(pin, cache_folder() / "kernels.json")


def machine_key() -> str:
    """What a measured speed depends on beside the question: processor, caps on what is used of it, threads, libraries."""
    caps = [f"{name}={os.environ[name]}" for name in CAPS if name in os.environ]
    build = hashlib.sha256(torch.__config__.show().encode()).hexdigest()[:12]
    capability = torch.backends.cpu.get_cpu_capability()
    threads = f"{torch.get_num_threads()} thread{'s'[: torch.get_num_threads() != 1]}"
    return ", ".join([processor_name(), capability, *caps, threads, f"torch {torch.__version__} ({build})"])


def remembered_answers(file: Path) -> dict[str, dict[str, str]]:
    """All that a file of answers holds, by machine; empty where there is none, or it is none."""
    try:
        content = read_json(file)
    except DataError:
        return {}
    if not isinstance(content, dict):
        return {}
    machines = {key: answers for key, answers in content.items() if isinstance(answers, dict)}
    return {key: {str(name): str(way) for name, way in answers.items()} for key, answers in machines.items()}


def described(dtype: torch.dtype, *shapes: Iterable[int]) -> str:
    """A dtype and shapes in a question: ``float32 512×2048``."""
    return f"{str(dtype).removeprefix('torch.')} {', '.join('×'.join(map(str, shape)) for shape in shapes)}"


def random_like(like: Tensor, *shape: int) -> Tensor:
    """What ways are measured on: normal numbers, the same each time, of the dtype and on the device of ``like``."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(like)


def same_but_for_rounding(found: Tensor, exact: Tensor, terms: int) -> bool:
    """Whether a sum of so many products is ``exact``, but for what its dtype rounds.

    The error of a sum of n terms is at most ``n u`` times the sum of their sizes (Higham 2002, section 3.1), ``u`` half the
    dtype's ``eps``. Sizes are about ``sqrt(n)`` times the root of the mean square of the results where signs are random;
    16 times the bound of that allows for results that are no such sums, and is far below what a wrong result differs by.
    """
    bound = 16 * terms * torch.finfo(found.dtype).eps / 2 * float(exact.double().square().mean().sqrt())
    return bool((found.double() - exact.double()).abs().max() <= bound + torch.finfo(found.dtype).tiny)


def _measured(question: str, ways: Sequence[str], trial: Callable[[str], Callable[[], Tensor]]) -> str:
    """The fastest way, by its best time of some rounds in turns."""
    runs = {ways[0]: trial(ways[0])}
    expected = runs[ways[0]]().clone()
    spread = float(expected.float().square().mean().sqrt())
    # ways of other sums (transforms) round otherwise: by some hundred units at most, in 16 bits by some hundredths
    allowed = min(512 * torch.finfo(expected.dtype).eps, 0.25) * spread
    for way in ways[1:]:
        try:
            run = trial(way)
            difference = float((run().float() - expected.float()).abs().max())  # the first run is the warm-up, too
        except RuntimeError as error:  # the library has nothing for this shape
            _log.warning("%s: %s is left out: %s", question, way, error)
            continue
        if difference <= allowed:
            runs[way] = run
        else:
            _log.warning("%s: %s differs from %s by %.3g, it is left out", question, way, ways[0], difference)
    best = dict.fromkeys(runs, float("inf"))
    for number in range(_ROUNDS):
        if number >= 3 and min(best.values()) * number > _SECONDS:
            break
        for way, run in runs.items():
            began = time.perf_counter()
            run()
            best[way] = min(best[way], time.perf_counter() - began)
    fastest = min(best, key=lambda way: best[way])
    answer = fastest if best[fastest] < _GAIN * best[ways[0]] else ways[0]
    _log.debug("%s: %s of %s", question, answer, ", ".join(f"{way} {1000 * each:.3g} ms" for way, each in best.items()))
    return answer


def _remember(file: Path | None, question: str, answer: str) -> None:
    if file is None:
        return
    content: dict[str, Any] = remembered_answers(file)
    content.setdefault(machine_key(), {})[question] = answer
    try:
        write_json(file, content)
    except OSError as error:
        _log.info("%s: cannot be written (%s): products are measured anew in each process", file, error.strerror)
