import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file

from resdet.data.formats.cifar import CifarDataset
from resdet.data.formats.imagenet import read_imagenet
from resdet.data.statistics import (
    color_statistics,
    mean_image,
    pixel_statistics,
    read_mean_image,
    write_components,
    write_mean_image,
)
from resdet.data.transforms.classification import ClassificationTestTransform
from resdet.data.transforms.lighting import IMAGENET_COMPONENTS, lighting_noise, read_components
from resdet.errors import DataError

WHOLE = ClassificationTestTransform(0, 32)


@dataclass(frozen=True)
class Arrays:
    """Images in memory, without what a data set of CIFAR's is known by."""

    arrays: list
    names: tuple[str, ...] = ("a",)

    def __len__(self) -> int:
        return len(self.arrays)

    def path(self, index: int) -> Path:
        return Path(str(index))

    def label(self, index: int) -> int:
        return 0

    def load(self, index: int) -> Image.Image:
        if self.arrays[index] is None:
            raise DataError(f"{index}: bad")
        return Image.fromarray(self.arrays[index])


def noise(count: int, height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


def cifar(images: np.ndarray) -> CifarDataset:
    pixels = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    return CifarDataset(("a",), pixels, np.zeros(len(images), np.int64), Path("root"))


@settings(max_examples=30)
@given(st.integers(1, 140), st.integers(0, 150), st.integers(0, 3))
def test_mean_image_is_the_mean(count: int, images: int, seed: int) -> None:
    arrays = noise(count, 32, 32, seed)
    wanted = min(images or count, count)
    chosen = arrays[[int(place) for place in np.arange(wanted) * count // wanted]].astype(np.float64)
    for dataset in (Arrays(list(arrays)), cifar(arrays)):
        statistics = pixel_statistics(dataset, WHOLE, images)
        assert statistics.images == wanted
        assert statistics.mean_image.dtype == torch.float32
        assert torch.equal(statistics.mean_image, torch.from_numpy(chosen.mean(0).transpose(2, 0, 1).astype(np.float32)))
        assert np.allclose(statistics.mean, chosen.mean((0, 1, 2)), rtol=1e-13)
        assert np.allclose(statistics.std, chosen.std((0, 1, 2)), rtol=1e-11)
        assert torch.equal(mean_image(dataset, WHOLE, images), statistics.mean_image)


def test_images_are_spread_evenly() -> None:
    arrays = [np.full((4, 4, 3), value, np.uint8) for value in range(200)]
    assert float(mean_image(Arrays(arrays), ClassificationTestTransform(0, 4), 4).mean()) == (0 + 50 + 100 + 150) / 4


def test_the_mean_is_taken_after_the_transform() -> None:
    transform = ClassificationTestTransform(20, 16)
    sizes = [(30, 40), (50, 24), (10, 10)]
    arrays = [noise(1, *size)[0] for size in sizes]
    expected = torch.stack([transform(Image.fromarray(array)) for array in arrays]).double().mean(0).float()
    assert torch.equal(mean_image(Arrays(arrays), transform), expected)
    # of CIFAR too, when it is not simply its pixels
    small = noise(3, 32, 32)
    assert torch.equal(mean_image(cifar(small), transform), mean_image(Arrays(list(small)), transform))


def test_every_image_that_cannot_be_read_is_told() -> None:
    arrays = [None if index in (3, 70, 71) else noise(1, 4, 4)[0] for index in range(130)]
    for call in (
        lambda: mean_image(Arrays(arrays), ClassificationTestTransform(0, 4)),
        lambda: color_statistics(Arrays(arrays)),
    ):
        with pytest.raises(DataError) as caught:
            call()
        assert caught.value.problems == ("3: bad", "70: bad", "71: bad")


def test_a_mean_image_comes_back_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "deeper" / "mean.safetensors"
    # of an image whose tensor is a permuted view
    statistics = pixel_statistics(Arrays(list(noise(3, 20, 30))), ClassificationTestTransform(0, 20))
    write_mean_image(path, statistics, "some/where")
    assert torch.equal(read_mean_image(path, 20), statistics.mean_image)
    with safe_open(path, framework="pt") as file:
        assert file.metadata() == {"images": "3", "data": "some/where"}


BAD_MEANS = [
    ({"other": torch.zeros(3, 8, 8)}, "must hold a tensor 'mean', got other"),
    ({"mean": torch.zeros(3, 8, 9)}, "'mean' must be float32 (3, 8, 8), got torch.float32 (3, 8, 9)"),
    ({"mean": torch.zeros(3)}, "'mean' must be float32 (3, 8, 8), got torch.float32 (3,)"),
    ({"mean": torch.zeros(3, 8, 8).double()}, "'mean' must be float32 (3, 8, 8), got torch.float64 (3, 8, 8)"),
    ({"mean": torch.full((3, 8, 8), 256.0)}, "'mean' must be in 0 … 255, got 256 … 256"),
    ({"mean": torch.full((3, 8, 8), -1.0)}, "'mean' must be in 0 … 255, got -1 … -1"),
    ({"mean": torch.full((3, 8, 8), torch.nan)}, "'mean' must be in 0 … 255, got nan … nan"),
]


@pytest.mark.parametrize(("tensors", "message"), BAD_MEANS, ids=range(len(BAD_MEANS)))
def test_broken_mean_images(tmp_path: Path, tensors: dict, message: str) -> None:
    save_file(tensors, tmp_path / "mean.safetensors")
    with pytest.raises(DataError, match=re.escape(f"mean.safetensors: {message}")):
        read_mean_image(tmp_path / "mean.safetensors", 8)


def test_what_is_no_mean_image(tmp_path: Path) -> None:
    path = tmp_path / "mean.safetensors"
    with pytest.raises(DataError, match=r"mean\.safetensors: cannot be read: .*[Nn]o such file"):
        read_mean_image(path, 8)
    save_file({"mean": torch.zeros(3, 8, 8)}, path)
    for content in (b"", b"hello", path.read_bytes()[:-5]):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"mean\.safetensors: is not a safetensors file, or a truncated one"):
            read_mean_image(path, 8)


@given(st.integers(1, 5), st.integers(0, 9))
def test_color_components_are_those_of_the_covariance(count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    arrays = [noise(1, *rng.integers(1, 40, 2).tolist(), seed)[0] for _ in range(count)]
    arrays.append(rng.integers(0, 256, (9, 9, 3), dtype=np.uint8) // 3 * rng.integers(1, 4, 3).astype(np.uint8))
    colors = np.concatenate([array.reshape(-1, 3) for array in arrays]) / 255
    statistics = color_statistics(Arrays(arrays))
    values = np.array(statistics.components.eigenvalues)
    vectors = np.array(statistics.components.eigenvectors)
    assert np.allclose(vectors @ np.diag(values) @ vectors.T, np.cov(colors.T, bias=True), atol=1e-12)
    assert np.allclose(vectors.T @ vectors, np.eye(3), atol=1e-12)
    assert values[0] >= values[1] >= values[2] >= 0
    assert (vectors[np.abs(vectors).argmax(0), range(3)] > 0).all()
    assert np.allclose(statistics.mean, colors.mean(0), atol=1e-13)
    assert np.allclose(statistics.std, colors.std(0), atol=1e-12)
    assert statistics.images == count + 1


def test_color_components_come_back_from_their_file(tmp_path: Path) -> None:
    statistics = color_statistics(Arrays(list(noise(3, 20, 30))))
    write_components(tmp_path / "deeper" / "pca.json", statistics)
    assert read_components(tmp_path / "deeper" / "pca.json") == statistics.components


def test_cifar_is_read_as_other_images_are() -> None:
    arrays = noise(150, 32, 32)
    assert color_statistics(cifar(arrays)) == color_statistics(Arrays(list(arrays)))
    assert color_statistics(cifar(arrays), 7) == color_statistics(Arrays(list(arrays[[0, 21, 42, 64, 85, 107, 128]])))


def test_images_larger_than_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = Arrays(list(noise(2, 30, 50)))
    whole = color_statistics(dataset)
    monkeypatch.setattr("resdet.data.statistics._BLOCK", 7)
    assert color_statistics(dataset) == whole


def test_colors_of_one_grey_have_no_spread() -> None:
    statistics = color_statistics(Arrays([np.full((5, 5, 3), 77, np.uint8)]))
    assert statistics.components.eigenvalues == (0.0, 0.0, 0.0)
    assert statistics.std == (0.0, 0.0, 0.0)
    grey = torch.full((3, 2, 2), 77, dtype=torch.uint8)
    assert torch.equal(lighting_noise(grey, 1.0, statistics.components), grey)


@pytest.mark.real
def test_imagenets_constants_are_eigenvalues_and_no_square_roots_of_them(shared_data: Path) -> None:
    root = shared_data / "imagenet_val100" / "ILSVRC" / "Data" / "CLS-LOC"
    components = color_statistics(read_imagenet(root, "val")).components
    assert np.allclose(components.eigenvalues, IMAGENET_COMPONENTS.eigenvalues, rtol=0.1)
    cosines = np.abs((np.array(components.eigenvectors) * np.array(IMAGENET_COMPONENTS.eigenvectors)).sum(0))
    assert (cosines > 0.99).all()
