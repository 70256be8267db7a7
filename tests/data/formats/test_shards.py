import json
import tarfile
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import save_file

from resdet.cli import main
from resdet.config.schema import ClassificationSourceConfig
from resdet.data.convert import shard_writer
from resdet.data.convert.shard_writer import write_shards
from resdet.data.formats.folder import read_folder
from resdet.data.formats.shards import read_shards
from resdet.data.loading.loader import train_loader
from resdet.data.loading.samplers import endless_batches
from resdet.data.loading.views import ClassificationView
from resdet.data.sources.classification import build_classification_dataset
from resdet.data.transforms.classification import ClassificationTrainTransform
from resdet.errors import ConfigError, DataError

MOST = 40_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    draw = np.random.default_rng(0)
    for name in ("cat", "dog", "emu"):
        (tmp_path / "classes" / name).mkdir(parents=True)
        for number in range(7):
            image = Image.fromarray(draw.integers(0, 255, (30 + number, 40, 3), dtype=np.uint8))
            image.save(tmp_path / "classes" / name / f"{number}.{('JPEG', 'png', 'jpg')[number % 3]}")
    return tmp_path / "classes"


@pytest.fixture
def packed(folder: Path, tmp_path: Path) -> Path:
    write_shards(read_folder(folder), folder, tmp_path / "packed", "train", MOST)
    return tmp_path / "packed"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_every_image_is_there_once_with_its_label(folder: Path, packed: Path) -> None:
    source, dataset = read_folder(folder), read_shards(packed, "train")
    assert dataset.names == source.names
    assert len(list(packed.glob("train-*.tar"))) > 2
    expected = {source.path(i).relative_to(folder): (source.path(i).read_bytes(), source.label(i)) for i in range(len(source))}
    found = {}
    for index in range(len(dataset)):
        tar = packed / dataset.path(index).relative_to(packed).parts[0]
        found[dataset.path(index).relative_to(tar)] = (dataset.encoded(index), dataset.label(index))
    assert found == expected
    assert np.array_equal(
        np.asarray(dataset.load(5)),
        np.asarray(
            Image.open(folder / dataset.path(5).relative_to(packed / dataset.path(5).relative_to(packed).parts[0])).convert(
                "RGB"
            )
        ),
    )
    assert [dataset.label(index) for index in range(21)] != sorted(dataset.label(index) for index in range(21))


def test_the_tar_files_are_plain_ones(packed: Path) -> None:
    dataset = read_shards(packed, "train")
    seen = []
    for file in sorted(packed.glob("*.tar")):
        with tarfile.open(file) as tar:
            members = tar.getmembers()
            assert all(member.isreg() and (member.mtime, member.uid, member.mode) == (0, 0, 0o644) for member in members)
            for image, label in zip(members[::2], members[1::2], strict=True):
                assert image.name.rpartition(".")[0] + ".cls" == label.name
                seen.append((tar.extractfile(image).read(), int(tar.extractfile(label).read())))
        assert file.stat().st_size <= MOST
    assert seen == [(dataset.encoded(index), dataset.label(index)) for index in range(len(dataset))]


def test_webdataset_reads_them(packed: Path) -> None:
    webdataset = pytest.importorskip("webdataset")
    dataset = read_shards(packed, "train")
    files = sorted(map(str, packed.glob("*.tar")))
    stream = webdataset.WebDataset(files, shardshuffle=False).decode("rgb8").to_tuple("jpg;png", "cls")
    samples = list(stream)
    assert [label for _, label in samples] == [dataset.label(index) for index in range(21)]
    assert all(np.array_equal(pixels, np.asarray(dataset.load(index))) for index, (pixels, _) in enumerate(samples))


def test_writing_again_gives_the_same_bytes_and_continues_what_was_begun(folder: Path, packed: Path, tmp_path: Path) -> None:
    whole = contents(packed)
    other = tmp_path / "other"
    write_shards(read_folder(folder), folder, other, "train", MOST)
    assert contents(other) == whole
    (other / "train-000001.tar").unlink()
    (other / "train-000002.tar").write_bytes(b"cut")
    kept = (other / "train-000000.tar").stat().st_mtime_ns
    with pytest.raises(DataError) as caught:
        read_shards(other, "train")
    assert len(caught.value.problems) == 2
    assert "`resdet data shard` with the same arguments writes what is missing" in caught.value.problems[0]
    assert "bytes, got 3: it is cut short" in caught.value.problems[1]
    write_shards(read_folder(folder), folder, other, "train", MOST)
    assert contents(other) == whole
    assert (other / "train-000000.tar").stat().st_mtime_ns == kept


def test_another_set_of_the_same_name_is_left_alone(folder: Path, packed: Path) -> None:
    whole = contents(packed)
    with pytest.raises(ConfigError, match="is of other images, or of shards of another size"):
        write_shards(read_folder(folder), folder, packed, "train", MOST * 2)
    write_shards(read_folder(folder), folder, packed, "val", MOST * 2)
    assert whole.items() <= contents(packed).items()


def test_a_file_that_changes_meanwhile_is_told(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shard_writer, "read_file", lambda path: path.read_bytes() + b"more")
    with pytest.raises(DataError, match=r"has changed while it was read: [0-9]+ bytes before, [0-9]+ now"):
        write_shards(read_folder(folder), folder, tmp_path / "packed", "train", MOST)
    assert not list((tmp_path / "packed").glob("*.tar"))


def test_one_image_larger_than_a_shard_has_one_of_its_own(folder: Path, tmp_path: Path) -> None:
    assert write_shards(read_folder(folder), folder, tmp_path / "packed", "train", 1) == 21
    assert len(read_shards(tmp_path / "packed", "train")) == 21


def test_class_names_are_mapped(packed: Path) -> None:
    plain, turned = read_shards(packed, "train"), read_shards(packed, "train", ["emu", "yak", "dog", "cat"])
    assert turned.names == ("emu", "yak", "dog", "cat")
    assert [turned.names[turned.label(i)] for i in range(21)] == [plain.names[plain.label(i)] for i in range(21)]
    with pytest.raises(DataError, match="class 'emu' is not among the classes asked for"):
        read_shards(packed, "train", ["cat", "dog"])


def test_a_shard_that_is_another_file_of_the_same_size_is_told(packed: Path) -> None:
    dataset = read_shards(packed, "train")
    file = packed / "train-000001.tar"
    row = int(np.flatnonzero(dataset.shards == 1)[0])
    file.write_bytes(bytes(file.stat().st_size))
    with pytest.raises(DataError, match=f"train-000001.tar: does not hold image {row:09} where its index says"):
        dataset.load(row)
    file.write_bytes(b"")
    with pytest.raises(DataError, match="does not hold image"):
        dataset.encoded(row)
    file.unlink()
    with pytest.raises(DataError, match=r"train-000001.tar: cannot be read: No such file"):
        dataset.encoded(row)


def broken(packed: Path, change) -> None:
    path = packed / "train-index.safetensors"
    with safe_open(path, framework="numpy") as file:
        about = json.loads(file.metadata()["index"])
        columns = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    change(about, columns)
    save_file(columns, path, {"index": json.dumps(about)})


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda about, _: about.update(kind="else"), "must hold an object of kind 'resdet shards 1'"),
        (lambda about, _: about.update(names=[]), "'names' must be class names"),
        (lambda about, _: about["files"][0].update(file="../../etc/passwd"), "which stays in the folder"),
        (lambda about, _: about["files"][0].update(file="/etc/passwd"), "which stays in the folder"),
        (lambda about, _: about["files"][0].update(bytes=-1), "and its bytes"),
        (lambda _, columns: columns.pop("labels"), "its columns must be"),
        (lambda _, columns: columns.update(labels=columns["labels"][1:]), "its columns must be"),
        (lambda _, columns: columns.update(labels=columns["labels"].astype(np.float32)), "its columns must be"),
        (lambda _, columns: columns.update(labels=columns["labels"][:, None].copy()), "must have one value an image"),
        (lambda _, columns: columns.update(labels=columns["labels"] + 1), "shards or labels that there are not"),
        (lambda _, columns: columns.update(shards=columns["shards"] - 1), "shards or labels that there are not"),
        (lambda _, columns: columns.update(offsets=columns["offsets"] - 512), "places outside of its shards"),
        (lambda _, columns: columns.update(sizes=columns["sizes"] + 2**62), "places outside of its shards"),
    ],
)
def test_a_wrong_index_is_refused(packed: Path, change, text: str) -> None:
    broken(packed, change)
    with pytest.raises(DataError, match=rf"train-index.safetensors: is not an index of shards: .*{text}"):
        read_shards(packed, "train")


def test_an_index_that_is_none_is_refused(packed: Path) -> None:
    path = packed / "train-index.safetensors"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataError, match=r"train-index.safetensors: cannot be read"):
        read_shards(packed, "train")
    with pytest.raises(DataError, match=r"val-index.safetensors: no such file; `resdet data shard` writes it"):
        read_shards(packed, "val")


def test_training_resumes_at_the_same_sample_with_any_number_of_workers(packed: Path) -> None:
    dataset = build_classification_dataset(ClassificationSourceConfig("shards", str(packed), "train"))
    view = ClassificationView(dataset, ClassificationTrainTransform(24, (), 0, 0.5, 0.1), seed=9, fast=True)
    whole = list(islice(train_loader(view, endless_batches(len(view), 4, 1), 0), 12))
    later = list(islice(train_loader(view, endless_batches(len(view), 4, 1, start=7), 1), 5))
    for one, other in zip(whole[7:], later, strict=True):
        assert one.paths == other.paths
        assert torch.equal(one.images, other.images)


def test_the_command(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = ["data", "shard", "--format", "folder", "--root", str(folder)]
    assert main([*source, "--as", "val", str(tmp_path / "packed")]) == 0
    assert capsys.readouterr().out.startswith(f"{tmp_path / 'packed'}: 21 images, 3 classes, 1 shards; format: shards")
    assert sorted(contents(tmp_path / "packed")) == ["val-000000.tar", "val-index.safetensors"]
    assert main(["data", "check", "--format", "shards", "--root", str(tmp_path / "packed"), "--split", "val"]) == 0
    assert capsys.readouterr().out == "data: 21 images, 3 classes\n"
    assert main([*source, "--size", "0", str(tmp_path / "packed")]) == 2
    assert "'--size' must be at least 1 MiB, got 0" in capsys.readouterr().err
    assert main([*source, "--annotations", "labels.csv", str(tmp_path / "packed")]) == 2
    assert (
        "option 'data.annotations' is for the formats list, imagenet, not folder; got 'labels.csv'" in capsys.readouterr().err
    )
    with pytest.raises(ConfigError, match="format shards must be one of train, val, test, got 'val5k'"):
        build_classification_dataset(ClassificationSourceConfig("shards", str(tmp_path / "packed"), "val5k"))
