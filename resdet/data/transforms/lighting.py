"""AlexNet's colour noise along the principal components of a data set's colours (PCA lighting)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from resdet.errors import DataError
from resdet.files import read_json

_ORTHONORMAL = 1e-3  # published components are rounded to four digits


@dataclass(frozen=True)
class ColorComponents:
    """Eigenvalues and eigenvectors of the covariance of RGB in [0, 1] over the pixels of a data set.

    Attributes:
        eigenvalues: (3,), not negative; variances, no square root is taken.
        eigenvectors: (3, 3), rows R, G, B; column j belongs to eigenvalue j.
    """

    eigenvalues: tuple[float, ...]
    eigenvectors: tuple[tuple[float, ...], ...]


# published with AlexNet's noise; the first 100 validation images have 0.2142, 0.0199, 0.0041 and nearly the same axes
IMAGENET_COMPONENTS = ColorComponents(
    (0.2175, 0.0188, 0.0045),
    ((-0.5675, 0.7192, 0.4009), (-0.5808, -0.0045, -0.8140), (-0.5836, -0.6948, 0.4203)),
)


def lighting_noise(pixels: Tensor, std: float, components: ColorComponents = IMAGENET_COMPONENTS) -> Tensor:
    """AlexNet's PCA colour noise on a uint8 image (3, H, W).

    To every pixel, in [0, 1], sum_j eigenvector_j * alpha_j * eigenvalue_j is added with alpha_j ~ N(0, std). The result is
    rounded and clamped back to uint8, so that an image stays an image for every pixel convention. Source: paper, section 3.4.
    """
    eigenvalues, eigenvectors = torch.tensor(components.eigenvalues), torch.tensor(components.eigenvectors)
    shift = eigenvectors @ (torch.randn(3) * std * eigenvalues) * 255
    return (pixels + shift.view(3, 1, 1)).round_().clamp_(0, 255).to(torch.uint8)


def read_components(path: str | Path) -> ColorComponents:
    """Read the file that ``resdet data pca`` writes.

    Raises:
        DataError: the file cannot be read, is not JSON, or its eigenvalues are not 3 finite numbers from 0 up, or its
            eigenvectors not a 3 x 3 matrix with orthonormal columns (to 1e-3).
    """
    path = Path(path)
    content = read_json(path)
    if not isinstance(content, dict):
        raise DataError(f"{path}: must be an object with eigenvalues and eigenvectors, got {type(content).__name__}")
    values, vectors = _numbers(content.get("eigenvalues"), (3,)), _numbers(content.get("eigenvectors"), (3, 3))
    problems = []
    if values is None or values.min() < 0:
        problems.append(f"'eigenvalues' must be 3 finite numbers from 0 up, got {_show(content.get('eigenvalues'))}")
    if vectors is None:
        problems.append(f"'eigenvectors' must be 3 x 3 finite numbers, got {_show(content.get('eigenvectors'))}")
    elif (miss := float(np.abs(vectors.T @ vectors - np.eye(3)).max())) > _ORTHONORMAL:
        problems.append(f"the columns of 'eigenvectors' must be orthonormal to {_ORTHONORMAL:g}, they miss it by {miss:.3g}")
    if problems or values is None or vectors is None:
        raise DataError([f"{path}: {problem}" for problem in problems])
    return ColorComponents(tuple(values.tolist()), tuple(map(tuple, vectors.tolist())))


def _numbers(value: Any, shape: tuple[int, ...]) -> np.ndarray | None:
    """Nested lists of finite numbers as float64 of ``shape``; None for anything else."""
    try:
        array = np.array(value)
    except ValueError:  # lists of different lengths
        return None
    if array.shape != shape or array.dtype.kind not in "if" or not np.isfinite(array).all():
        return None
    return array.astype(np.float64)


def _show(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:79]}…"
