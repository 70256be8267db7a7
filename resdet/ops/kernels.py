"""Finds the fastest of several ways to compute the same thing on this machine. It measures once and remembers the answer.

The speed of a product depends on the processor, the part of it that may be used, the threads, the shapes and the libraries. So
when a model is made ready, its products are measured on slices of their own shapes, which takes seconds in all. The answers
are kept in a file of the cache folder, under everything that they depend on. The file may be deleted at any time.
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
_ROUNDS, _SECONDS = 7, 0.1  # the most for each way, but three rounds at least
_GAIN = 0.95  # another way must take less than this share of the first way's time to replace it, because clocks are noisy


class Kernels:
    """Answers which way is fastest, and measures when the answer is not remembered.

    Args:
        pin: "auto" measures; "torch" and "onednn" take the way of this name when it is offered, else the first way.
        file: the file that remembers the answers; None: only this object remembers them.

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
            question: names the computation, with dtype and shape; the same question has one answer on one machine.
            ways: the names of the ways. The first is the default and the reference: a way whose results differ from it by more
                than rounding is never taken.
            trial: prepares a way on a slice, and returns the function to measure.
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
        """The answers in the file for this machine, read only once because a network asks dozens of questions."""
        return remembered_answers(self.file).get(machine_key(), {}) if self.file else {}


def default_kernels(pin: str = "auto") -> Kernels:
    """Kernels that remember their answers in the cache folder."""
    return Kernels(pin, cache_folder() / "kernels.json")


def machine_key() -> str:
    """Everything besides the question that a measured speed depends on: processor, limits on its use, threads, libraries."""
    caps = [f"{name}={os.environ[name]}" for name in CAPS if name in os.environ]
    build = hashlib.sha256(torch.__config__.show().encode()).hexdigest()[:12]
    capability = torch.backends.cpu.get_cpu_capability()
    threads = f"{torch.get_num_threads()} thread{'s'[: torch.get_num_threads() != 1]}"
    return ", ".join([processor_name(), capability, *caps, threads, f"torch {torch.__version__} ({build})"])


def remembered_answers(file: Path) -> dict[str, dict[str, str]]:
    """All answers in a file, by machine; empty when the file is missing or is not a file of answers."""
    try:
        content = read_json(file)
    except DataError:
        return {}
    if not isinstance(content, dict):
        return {}
    machines = {key: answers for key, answers in content.items() if isinstance(answers, dict)}
    return {key: {str(name): str(way) for name, way in answers.items()} for key, answers in machines.items()}


def described(dtype: torch.dtype, *shapes: Iterable[int]) -> str:
    """The text of a dtype and shapes in a question: ``float32 512×2048``."""
    return f"{str(dtype).removeprefix('torch.')} {', '.join('×'.join(map(str, shape)) for shape in shapes)}"


def random_like(like: Tensor, *shape: int) -> Tensor:
    """The numbers to measure with: normal, the same each time, with the dtype and on the device of ``like``."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(like)


def same_but_for_rounding(found: Tensor, exact: Tensor, terms: int) -> bool:
    """Whether ``found``, sums of ``terms`` products, equals ``exact`` up to the rounding of its dtype.

    The error of a sum of n terms is at most ``n u`` times the sum of their sizes (Higham 2002, section 3.1), ``u`` half the
    dtype's ``eps``. When signs are random, the sum of the sizes is about ``sqrt(n)`` times the root of the mean square of the
    results. We allow 16 times that bound, for results that are no such sums; a wrong result differs by far more.
    """
    bound = 16 * terms * torch.finfo(found.dtype).eps / 2 * float(exact.double().square().mean().sqrt())
    return bool((found.double() - exact.double()).abs().max() <= bound + torch.finfo(found.dtype).tiny)


def _measured(question: str, ways: Sequence[str], trial: Callable[[str], Callable[[], Tensor]]) -> str:
    """The fastest way, by the best time of each over a few rounds in turns."""
    runs = {ways[0]: trial(ways[0])}
    expected = runs[ways[0]]().clone()
    spread = float(expected.float().square().mean().sqrt())
    # ways that sum differently (transforms) round differently: by some hundred units at most, in 16 bits by some hundredths
    allowed = min(512 * torch.finfo(expected.dtype).eps, 0.25) * spread
    for way in ways[1:]:
        try:
            run = trial(way)
            difference = float((run().float() - expected.float()).abs().max())  # the first run is also the warm-up
        except RuntimeError as error:  # the library does not support this shape
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
