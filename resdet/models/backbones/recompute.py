"""Less memory for more time: what a block gives is computed once more on the way back instead of being kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


def recomputed(block: nn.Module, run: Callable[..., Tensor], *inputs: object) -> Tensor:
    """``run(*inputs)``, a pass through ``block`` of which only the inputs are kept for the way back.

    BN in training sees the batch twice, and counts it once.
    """
    result: Tensor = checkpoint(
        run, *inputs, use_reentrant=False, preserve_rng_state=False, context_fn=lambda: (nullcontext(), _uncounted(block))
    )
    return result


@contextmanager
def _uncounted(block: nn.Module) -> Iterator[None]:
    """A context in which the BN of ``block`` takes nothing of a batch into its running statistics."""
    norms = [part for part in block.modules() if isinstance(part, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    counters = [counter for norm in norms if (counter := norm.num_batches_tracked) is not None]
    counts = [counter.clone() for counter in counters]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        for counter, count in zip(counters, counts, strict=True):
            counter.copy_(count)
