"""Stops where a network answers with something else than numbers: NaN would pass for "nothing found"."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor

from resdet.errors import PredictionError
from resdet.models.intact import all_finite


def check_finite(scores: Tensor, what: str) -> Tensor:
    """``scores``, which ``what`` names in the message; a PredictionError when one of them is NaN or infinite."""
    if not all_finite(scores):
        raise PredictionError(f"{what} are NaN or infinite: the model's weights cannot be used")
    return scores


@contextmanager
def about(image: object) -> Iterator[None]:
    """Name the image in a PredictionError that comes out of this context."""
    try:
        yield
    except PredictionError as error:
        raise PredictionError([f"{image}: {problem}" for problem in error.problems]) from error
