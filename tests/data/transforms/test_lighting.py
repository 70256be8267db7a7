import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from resdet.data.transforms.lighting import IMAGENET_COMPONENTS, ColorComponents, lighting_noise, read_components
from resdet.errors import DataError

VALUES = [0.2, 0.02, 0.004]
VECTORS = [[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]]


def shifts(components: ColorComponents, std: float, count: int) -> torch.Tensor:
    """Shifts of grey that noise of ``std`` makes, in [0, 1]: (count, 3)."""
    grey = torch.full((3, 2, 2), 128, dtype=torch.uint8)
    return torch.stack([lighting_noise(grey, std, components)[:, 0, 0].double() - 128 for _ in range(count)]) / 255


def test_the_noise_has_the_covariance_of_its_constants() -> None:
    torch.manual_seed(3)
    found = shifts(IMAGENET_COMPONENTS, 1.0, 4000)
    vectors = np.array([[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]])
    expected = vectors @ np.diag(np.array([0.2175, 0.0188, 0.0045]) ** 2) @ vectors.T
    assert np.allclose(np.cov(found.T.numpy()), expected, atol=0.0012)
    assert float(found.mean().abs()) < 0.01


def test_the_noise_is_its_formula() -> None:
    pixels = torch.randint(0, 256, (3, 5, 7), dtype=torch.uint8)
    torch.manual_seed(11)
    found = lighting_noise(pixels, 0.1)
    torch.manual_seed(11)
    alpha = torch.randn(3).double().numpy() * 0.1
    vectors, values = (np.array(part) for part in (IMAGENET_COMPONENTS.eigenvectors, IMAGENET_COMPONENTS.eigenvalues))
    expected = np.clip(np.round(pixels.numpy() + (vectors @ (alpha * values))[:, None, None] * 255), 0, 255)
    assert np.array_equal(found.numpy(), expected)
    assert not np.array_equal(found.numpy(), pixels.numpy())


def test_the_noise_of_other_components() -> None:
    torch.manual_seed(3)
    components = ColorComponents((0.1, 0.3, 0.0), tuple(map(tuple, VECTORS)))
    found = shifts(components, 0.5, 4000)
    # column 0 is red, column 1 is blue, column 2 is green
    assert np.allclose(found.std(0).numpy(), [0.05, 0.0, 0.15], atol=0.004)


def test_the_noise_stays_an_image() -> None:
    torch.manual_seed(0)
    image = torch.tensor([0, 255], dtype=torch.uint8).repeat(3, 4, 1)
    for _ in range(20):
        result = lighting_noise(image, 1.0)
        assert result.dtype == torch.uint8
        assert result.shape == image.shape
        assert bool((result[:, :, 0] <= result[:, :, 1]).all())  # clamped, not wrapped around
    assert torch.equal(lighting_noise(image, 0.0), image)
    assert math.isclose(float(image.float().mean()), 127.5)


def written(path: Path, **changes: object) -> Path:
    path.write_text(json.dumps({"eigenvalues": VALUES, "eigenvectors": VECTORS, **changes}))
    return path


def test_a_file_is_read(tmp_path: Path) -> None:
    components = read_components(written(tmp_path / "pca.json", images=3))
    assert components == ColorComponents(tuple(VALUES), tuple(map(tuple, VECTORS)))


def test_published_components_would_pass_as_a_file(tmp_path: Path) -> None:
    path = written(
        tmp_path / "pca.json",
        eigenvalues=IMAGENET_COMPONENTS.eigenvalues,
        eigenvectors=IMAGENET_COMPONENTS.eigenvectors,
    )
    assert read_components(path) == IMAGENET_COMPONENTS


WRONG = [
    ({"eigenvalues": [1, 2]}, "'eigenvalues' must be 3 finite numbers from 0 up, got [1, 2]"),
    ({"eigenvalues": [1, 2, -0.1]}, "'eigenvalues' must be 3 finite numbers from 0 up, got [1, 2, -0.1]"),
    ({"eigenvalues": [1, 2, math.nan]}, "'eigenvalues' must be 3 finite numbers from 0 up, got [1, 2, NaN]"),
    ({"eigenvalues": [1, 2, math.inf]}, "'eigenvalues' must be 3 finite numbers from 0 up, got [1, 2, Infinity]"),
    ({"eigenvalues": [True, True, True]}, "'eigenvalues' must be 3 finite numbers from 0 up, got [true, true, true]"),
    ({"eigenvalues": ["1", "2", "3"]}, "'eigenvalues' must be 3 finite numbers"),
    ({"eigenvalues": None}, "'eigenvalues' must be 3 finite numbers from 0 up, got null"),
    ({"eigenvectors": [1, 2, 3]}, "'eigenvectors' must be 3 x 3 finite numbers, got [1, 2, 3]"),
    ({"eigenvectors": [[1], [2, 3], [4]]}, "'eigenvectors' must be 3 x 3 finite numbers, got [[1], [2, 3], [4]]"),
    ({"eigenvectors": [[[1.0] * 9] * 9] * 9}, "…"),
    ({"eigenvectors": [[1, 0, 0], [0, 1.001, 0], [0, 0, 1]]}, "must be orthonormal to 0.001, they miss it by 0.002"),
    ({"eigenvectors": [[1, 1, 0], [0, 0, 0], [0, 0, 1]]}, "must be orthonormal to 0.001, they miss it by 1"),
]


@pytest.mark.parametrize(("changes", "message"), WRONG, ids=range(len(WRONG)))
def test_broken_components(tmp_path: Path, changes: dict, message: str) -> None:
    path = written(tmp_path / "pca.json", **changes)
    with pytest.raises(DataError) as caught:
        read_components(path)
    (problem,) = caught.value.problems
    assert problem.startswith(f"{path}: ")
    assert message in problem


def test_broken_files(tmp_path: Path) -> None:
    path = tmp_path / "pca.json"
    with pytest.raises(DataError, match=r"pca\.json: cannot be read: No such file"):
        read_components(path)
    path.write_text("{")
    with pytest.raises(DataError, match=r"pca\.json: is not JSON"):
        read_components(path)
    path.write_text("[1]")
    with pytest.raises(DataError, match=r"pca\.json: must be an object with eigenvalues and eigenvectors, got list"):
        read_components(path)
    path.write_text("{}")
    with pytest.raises(DataError) as caught:
        read_components(path)
    assert len(caught.value.problems) == 2
