"""Shards behind URLs, held against the same ones in a folder."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
import torch
from in_ranks import in_ranks
from PIL import Image
from range_server import RangeServer, range_server

from resdet.cli import main
from resdet.config.schema import ClassificationSourceConfig
from resdet.data.convert.shard_writer import write_shards
from resdet.data.formats import remote
from resdet.data.formats.folder import read_folder
from resdet.data.formats.shards import BLOCK, ShardDataset
from resdet.data.loading.loader import train_loader
from resdet.data.loading.samplers import endless_batches
from resdet.data.loading.views import ClassificationView
from resdet.data.sources.classification import build_classification_dataset
from resdet.data.transforms.classification import ClassificationTrainTransform
from resdet.distributed.ranks import Ranks
from resdet.distributed.share import share_of
from resdet.errors import ConfigError, DataError

COUNT = 12


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    draw = np.random.default_rng(0)
    for number in range(COUNT):
        place = folder / "classes" / ("cat", "dog", "emu")[number % 3]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw.integers(0, 255, (30, 40, 3), dtype=np.uint8)).save(place / f"{number}.png")
    write_shards(read_folder(folder / "classes"), folder / "classes", folder / "packed", "train", 20_000)
    assert len(list((folder / "packed").glob("*.tar"))) > 2
    return folder / "packed"


@pytest.fixture
def server(packed: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RangeServer]:
    pytest.importorskip("aiohttp")
    monkeypatch.setattr(remote, "_WAITS", (0.0, 0.0, 0.0))
    with range_server(packed) as running:
        yield running


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    pytest.importorskip("s3fs")
    server = pytest.importorskip("moto.server").ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    names = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "hush", "AWS_DEFAULT_REGION": "us-east-1"}
    for name, value in {**names, "AWS_ENDPOINT_URL": f"http://{host}:{port}"}.items():
        monkeypatch.setenv(name, value)
    fsspec.filesystem("s3", skip_instance_cache=True).makedirs("bucket", exist_ok=True)
    yield "s3://bucket/some/shards"
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    server.stop()


@pytest.fixture(params=["memory", "file", "http", "s3"])
def url(request: pytest.FixtureRequest, packed: Path) -> str:
    """The folder behind a URL of each kind."""
    if request.param == "http":
        return request.getfixturevalue("server").url
    if request.param == "file":
        return packed.as_uri()
    place = request.getfixturevalue("s3") if request.param == "s3" else "memory://some/shards/"
    for path in packed.iterdir():
        files, target = fsspec.core.url_to_fs(f"{place.rstrip('/')}/{path.name}")
        files.pipe_file(target, path.read_bytes())
    return place


def built(root: str) -> ShardDataset:
    found = build_classification_dataset(ClassificationSourceConfig("shards", root, "train"))
    assert isinstance(found, ShardDataset)
    return found


def test_the_same_images(packed: Path, url: str) -> None:
    local, found = built(str(packed)), built(url)
    assert found.names == local.names
    assert [found.label(index) for index in range(COUNT)] == [local.label(index) for index in range(COUNT)]
    assert [found.encoded(index) for index in range(COUNT)] == [local.encoded(index) for index in range(COUNT)]
    assert np.array_equal(np.asarray(found.load(3)), np.asarray(local.load(3)))


def batches(ranks: Ranks, root: str, workers: int, start: int = 0) -> list[tuple[tuple[str, ...], torch.Tensor]]:
    """The images of batches 0 … 5 of training, from ``start`` on, that are this process's."""
    dataset = built(root)
    view = ClassificationView(dataset, ClassificationTrainTransform(24, (), 0, 0.5, 0.1), seed=9)
    keys = itertools.islice(endless_batches(len(view), 5, 1, start=start), 6 - start)
    loader = train_loader(view, keys, workers, share=share_of(5, 1, ranks))
    return [(tuple(Path(path).name for path in batch.paths), batch.images) for batch in loader]


def same(found: Any, expected: Any) -> bool:
    return all(one[0] == other[0] and torch.equal(one[1], other[1]) for one, other in zip(found, expected, strict=True))


def test_training_goes_on_at_the_same_sample_with_any_number_of_workers(packed: Path, url: str) -> None:
    (whole,) = in_ranks(1, batches, str(packed), 0)
    for workers, start in ((0, 0), (2, 4)):
        (found,) = in_ranks(1, batches, url, workers, start)
        assert same(found, whole[start:])


def test_each_process_asks_for_the_bytes_of_its_own_images(packed: Path, server: RangeServer) -> None:
    (whole,) = in_ranks(1, batches, str(packed), 0)
    found = in_ranks(2, batches, server.url, 1)
    for rank, own in enumerate(found):
        assert same(own, [(names[rank::2], images[rank::2]) for names, images in whole])
    local = built(str(packed))
    drawn = [index for batch in itertools.islice(endless_batches(COUNT, 5, 1), 6) for index, _ in batch]
    expected = [
        (f"train-{local.shards[index]:06}.tar", local.offsets[index] - BLOCK, local.offsets[index] + local.sizes[index] - 1)
        for index in drawn
    ]
    assert sorted(server.asked) == sorted(expected)


def test_a_server_that_fails_at_times(server: RangeServer) -> None:
    dataset = built(server.url)
    server.failing = 3
    assert len(dataset.encoded(0)) == dataset.sizes[0]
    server.failing = 4
    with pytest.raises(DataError, match=rf"{server.url}/train-0+\d\.tar: cannot be read, tried 4 times: \w+: .*503"):
        dataset.encoded(0)
    assert server.failing == 0


def test_a_server_that_is_gone(packed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("aiohttp")
    monkeypatch.setattr(remote, "_WAITS", (0.0,))
    with range_server(packed) as server:
        url = server.url
    with pytest.raises(DataError, match=rf"{url}/train-index.safetensors: cannot be read, tried 2 times: Client"):
        built(url)


def test_a_server_without_parts(server: RangeServer) -> None:
    dataset = built(server.url)
    server.ranges = False
    with pytest.raises(DataError, match=r"\.tar: its server sends whole files where a part is asked for"):
        dataset.encoded(0)


def test_files_that_are_missing_or_others(packed: Path, tmp_path: Path) -> None:
    for path in packed.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    url = tmp_path.as_uri()
    dataset = built(url)
    (tmp_path / "train-000000.tar").unlink()
    (tmp_path / "train-000001.tar").write_bytes(b"cut")
    with pytest.raises(DataError) as caught:
        built(url)
    first, second = caught.value.problems
    assert first == f"{url}/train-000000.tar: no such file"
    assert second.startswith(f"{url}/train-000001.tar: must have ")
    with pytest.raises(DataError, match="does not hold image"):
        dataset.encoded(int(np.flatnonzero(dataset.shards == 1)[0]))
    (tmp_path / "train-index.safetensors").unlink()
    with pytest.raises(DataError, match=f"{url}/train-index.safetensors: no such file"):
        built(url)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("ftp://host/a", "option 'data.train.root' must be a URL of s3, gs, http, https, file, memory, got ftp://host/a"),
        ("https://me:hush@host/a", "without user, password and query"),
        ("s3://hush@bucket/a", "got s3://bucket/a with some"),
        ("https://host/a?token=hush", "got https://host/a with some"),
    ],
)
def test_urls_that_are_refused(url: str, problem: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConfigError, match=r"data\.train\.root") as caught:
        built(url)
    assert problem in str(caught.value)
    assert main(["data", "check", "--format", "shards", "--root", url]) == 2
    assert main(["data", "check", "--format", "folder", "--root", url]) == 2
    said = capfd.readouterr()
    assert "hush" not in said.out + said.err + str(caught.value)


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("cannot get 'https://u:p@host:8/a?X-Amz-Signature=1&b=2', 403", "cannot get 'https://host:8/a', 403"),
        ("url=https://host/a?t=1) and s3://key@b", "url=https://host/a) and s3://b"),
        ("no URL? a@b", "no URL? a@b"),
    ],
)
def test_messages_without_secrets(text: str, rest: str) -> None:
    assert remote.without_secrets(text) == rest


def test_a_package_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(scheme: str) -> Any:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec, "get_filesystem_class", missing)
    with pytest.raises(ConfigError, match=r"needs more packages for s3: pip install 'resdet\[remote\]' \(Install s3fs"):
        built("s3://bucket/a")
