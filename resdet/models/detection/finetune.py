"""A trained detector's tensors in a detector of other classes, or with context: what fits is taken over, the rest starts anew.

Legend: K classes of the new detector, C channels of a region's feature.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

_CLASS_ROWS = {"roi_heads.predictor.cls_score.": 1, "roi_heads.predictor.bbox_pred.": 4}
_SHOWN = 6


@dataclass(frozen=True)
class TakenOver:
    """What became of the tensors of a detector.

    Attributes:
        loaded: tensors taken over as they are.
        matched: tensors of the predictor of which the rows of the common classes are taken over.
        new: tensors that start anew.
        unused: tensors of the file that the detector has no place for.
        common: class names of both.
        added: class names of the new detector alone.
    """

    loaded: tuple[str, ...]
    matched: tuple[str, ...]
    new: tuple[str, ...]
    unused: tuple[str, ...]
    common: tuple[str, ...]
    added: tuple[str, ...]

    def summary(self) -> str:
        """Counts of each kind and the first few names of all but the loaded, in a line."""
        parts = [f"loaded {len(self.loaded)}"]
        kinds = {
            "matched by class": self.matched,
            "new": self.new,
            "unused": self.unused,
            "classes kept": self.common,
            "classes added": self.added,
        }
        for kind, names in kinds.items():
            more = f", … {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            parts.append(f"{kind} {len(names)}" + (f" ({', '.join(names[:_SHOWN])}{more})" if names else ""))
        return "; ".join(parts)


@torch.no_grad()
def take_over(detector: nn.Module, names: Sequence[str], state: Mapping[str, Tensor], old_names: Sequence[str]) -> TakenOver:
    """Fill ``detector`` with the tensors of another.

    Tensors of the same name and shape are taken over. The predictor's rows are matched by class name, each class's and the
    background's; where the detector has context and the file has none, the weights of the context half of these rows are zero,
    so that the old classes are scored exactly as before. Everything else stays as it is.

    Args:
        detector: a new Faster R-CNN of the K classes ``names``, in label order.
        names: its class names.
        state: the other's tensors, by name.
        old_names: the other's class names, in label order.
    """
    common = tuple(name for name in names if name in old_names)
    own = detector.state_dict()
    loaded: list[str] = []
    matched: list[str] = []
    new: list[str] = []
    for key, tensor in own.items():
        old = state.get(key)
        rows = next((rows for prefix, rows in _CLASS_ROWS.items() if key.startswith(prefix)), 0)
        if old is None:
            new.append(key)
        elif rows and (tuple(names) != tuple(old_names) or old.shape != tensor.shape):
            fits = _take_rows(tensor, old, [(names.index(name), old_names.index(name)) for name in common], rows)
            (matched if fits else new).append(key)
        elif old.shape == tensor.shape:
            tensor.copy_(old)
            loaded.append(key)
        else:
            new.append(key)
    unused = tuple(key for key in state if key not in own)
    added = tuple(name for name in names if name not in common)
    return TakenOver(tuple(loaded), tuple(matched), tuple(new), unused, common, added)


def _take_rows(tensor: Tensor, old: Tensor, pairs: Sequence[tuple[int, int]], rows: int) -> bool:
    """Copy the rows of the pairs (label here, label there), ``rows`` of each class, and the background's behind the classes."""
    columns = old.shape[1:]
    if tensor.shape[1:] not in (columns, tuple(2 * width for width in columns)):
        return False
    pairs = [*pairs, (len(tensor) - 1, len(old) - 1)] if rows == 1 else pairs
    for here, there in pairs:
        target, source = tensor[here * rows : (here + 1) * rows], old[there * rows : (there + 1) * rows]
        if columns:
            target.zero_()  # the context half, where there is one
            target[:, : columns[0]] = source
        else:
            target.copy_(source)
    return True
