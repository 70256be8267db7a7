import io
import os
import pickle
import pickletools
from pathlib import Path

import numpy as np
import pytest

from resdet.data.formats.cifar import read_cifar
from resdet.errors import DataError

NAMES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
FILES = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]
RECORDS = 4


def pixels_and_labels(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (RECORDS, 3072), dtype=np.uint8), rng.integers(0, 10, RECORDS)


@pytest.fixture
def binary(tmp_path: Path) -> Path:
    for seed, file in enumerate(FILES):
        pixels, labels = pixels_and_labels(seed)
        (tmp_path / f"{file}.bin").write_bytes(np.c_[labels.astype(np.uint8), pixels].tobytes())
    (tmp_path / "batches.meta.txt").write_text("\n".join(NAMES) + "\n\n")
    return tmp_path


@pytest.fixture
def python(tmp_path: Path) -> Path:
    for seed, file in enumerate(FILES):
        pixels, labels = pixels_and_labels(seed)
        write_pickle(tmp_path / file, {b"data": pixels, b"labels": labels.tolist(), b"batch_label": b"x"})
    write_pickle(tmp_path / "batches.meta", {b"label_names": [name.encode() for name in NAMES]})
    return tmp_path


def write_pickle(path: Path, content: object) -> None:
    path.write_bytes(pickle.dumps(content, protocol=2))


@pytest.mark.parametrize("layout", ["binary", "python"])
def test_both_layouts_hold_the_same(layout: str, request: pytest.FixtureRequest) -> None:
    root = request.getfixturevalue(layout)
    train, test = read_cifar(root, "train"), read_cifar(root, "test")
    assert (len(train), len(test)) == (5 * RECORDS, RECORDS)
    assert test.names == tuple(NAMES)
    pixels, labels = pixels_and_labels(5)
    assert [test.label(index) for index in range(RECORDS)] == labels.tolist()
    assert np.array_equal(np.asarray(test.load(1)), pixels[1].reshape(3, 32, 32).transpose(1, 2, 0))
    assert np.array_equal(np.asarray(train.load(RECORDS)), pixels_and_labels(1)[0][0].reshape(3, 32, 32).transpose(1, 2, 0))
    assert str(test.path(1)) == f"{root}#1"


def test_the_pickles_of_python_2(python: Path) -> None:
    # the official files: byte strings without a mark, numpy's old module path, dtype 'u1'
    pixels, labels = pixels_and_labels(5)
    out = io.BytesIO()
    short = lambda text: b"U" + bytes([len(text)]) + text  # noqa: E731
    out.write(
        b"\x80\x02}("
        + short(b"data")
        + b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85"
        + short(b"b")
        + b"\x87R"
    )
    out.write(b"(K\x01M" + RECORDS.to_bytes(2, "little") + b"M" + (3072).to_bytes(2, "little") + b"\x86")
    out.write(
        b"cnumpy\ndtype\n"
        + short(b"u1")
        + b"K\x00K\x01\x87R(K\x03"
        + short(b"|")
        + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89"
    )
    out.write(b"T" + pixels.nbytes.to_bytes(4, "little") + pixels.tobytes() + b"tb")
    out.write(short(b"labels") + b"](" + b"".join(b"K" + bytes([label]) for label in labels.tolist()) + b"eu.")
    list(pickletools.genops(out.getvalue()))
    (python / "test_batch").write_bytes(out.getvalue())
    test = read_cifar(python, "test")
    assert np.array_equal(test.pixels.reshape(RECORDS, -1), pixels)
    assert test.labels.tolist() == labels.tolist()


class Evil:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.path),)


def test_nothing_of_a_pickle_is_executed(python: Path) -> None:
    write_pickle(python / "test_batch", {b"data": Evil(python / "owned"), b"labels": []})
    with pytest.raises(DataError, match=r"is not a CIFAR batch: cannot be read without .* a pickle: it names posix\.mkdir"):
        read_cifar(python, "test")
    assert not (python / "owned").exists()


PIXELS = np.zeros((2, 3072), np.uint8)
BAD_PICKLES = [
    (b"", "is not a CIFAR batch"),
    (b"\x80\x02garbage", "is not a CIFAR batch"),
    ([1], "must hold a dict, got list"),
    ({b"data": PIXELS}, "must hold an array 'data' and a list of integers 'labels'"),
    ({b"data": PIXELS, b"labels": [1, "2"]}, "must hold an array 'data' and a list of integers 'labels'"),
    ({b"data": b"x" * 6144, b"labels": [1, 2]}, "must hold an array 'data'"),
    ({b"data": PIXELS, b"labels": [1]}, "'data' must be bytes of shape (1, 3072)"),
    ({b"data": PIXELS.astype(np.int32), b"labels": [1, 2]}, "'data' must be bytes of shape (2, 3072)"),
    ({b"data": np.asfortranarray(PIXELS), b"labels": [1, 2]}, "'data' must be bytes of shape (2, 3072)"),
    ({b"data": PIXELS[:0], b"labels": []}, "is not a CIFAR batch"),
    ({b"data": np.array([{}], dtype=object), b"labels": [1]}, "it holds an array of the type 'O8' instead of numbers"),
    # what Python's own unpickler answers with a crash, and with 4.5 GB of memory
    (b"\x80\x02" + b"(" * 1_000_000 + b"t" * 999_999 + b".", "more than 1000000 operations"),
    (b"\x80\x02" + b"]" + b"\x85" * 500_000 + b".", "must hold a dict, got tuple"),
    (b"\x80\x02r\xff\xff\xff\x1fN.", "a broken or truncated pickle"),
    (b"\x80\x04\x8e\xff\xff\xff\xff\x00\x00\x00\x00", "4294967295 bytes wanted, 0 are left"),
    ({b"data": PIXELS, b"labels": [1, 2**64]}, "a label has more than 64 bits"),
    ({b"data": PIXELS, b"labels": [1, 10]}, "labels must be 0 … 9, got 1 … 10"),
    ({b"data": PIXELS, b"labels": [-1, 1]}, "labels must be 0 … 9, got -1 … 1"),
]


@pytest.mark.parametrize(("content", "message"), BAD_PICKLES, ids=range(len(BAD_PICKLES)))
def test_broken_python_batches(python: Path, content: object, message: str) -> None:
    (python / "test_batch").write_bytes(content if isinstance(content, bytes) else pickle.dumps(content, protocol=2))
    with pytest.raises(DataError) as caught:
        read_cifar(python, "test")
    assert caught.value.problems[0].startswith(f"{python / 'test_batch'}: ")
    assert message in caught.value.problems[0]


def test_broken_binary_batches(binary: Path) -> None:
    content = (binary / "data_batch_1.bin").read_bytes()
    (binary / "data_batch_2.bin").write_bytes(content[:-1])
    (binary / "data_batch_3.bin").write_bytes(b"")
    (binary / "data_batch_4.bin").write_bytes(b"\x0a" + content[1:])
    (binary / "data_batch_5.bin").unlink()
    with pytest.raises(DataError) as caught:
        read_cifar(binary, "train")
    assert [problem.removeprefix(f"{binary}/data_batch_") for problem in caught.value.problems] == [
        f"2.bin: must be records of 3073 bytes, got {RECORDS * 3073 - 1} bytes",
        "3.bin: must be records of 3073 bytes, got 0 bytes",
        f"4.bin: labels must be 0 … 9, got {min([10, *pixels_and_labels(0)[1][1:]])} … 10",
        "5.bin: cannot be read: No such file or directory",
    ]


def test_names(binary: Path, python: Path) -> None:
    dataset = read_cifar(binary, "test", names=NAMES[::-1])
    assert [dataset.label(index) for index in range(RECORDS)] == (9 - pixels_and_labels(5)[1]).tolist()
    with pytest.raises(DataError, match="class 'bird' is not among the classes asked for"):
        read_cifar(binary, "test", names=[name for name in NAMES if name != "bird"])
    (binary / "batches.meta.txt").write_text("\n")
    with pytest.raises(DataError, match="must hold the class names"):
        read_cifar(binary, "test")
    (binary / "test_batch.bin").unlink()
    write_pickle(python / "batches.meta", {b"label_names": [1]})
    with pytest.raises(DataError, match="must hold a list of class names 'label_names'"):
        read_cifar(python, "test")


def test_cifar100(tmp_path: Path) -> None:
    pixels, _ = pixels_and_labels(0)
    names = [f"class{number}" for number in range(100)]
    (tmp_path / "fine_label_names.txt").write_text("\n".join(names))
    rows = np.c_[np.full(RECORDS, 3, np.uint8), np.arange(96, 100, dtype=np.uint8), pixels]
    (tmp_path / "test.bin").write_bytes(rows.tobytes())
    dataset = read_cifar(tmp_path, "test", "cifar100")
    assert dataset.labels.tolist() == [96, 97, 98, 99]
    assert np.array_equal(dataset.pixels.reshape(RECORDS, -1), pixels)
    (tmp_path / "test.bin").unlink()
    write_pickle(tmp_path / "meta", {b"fine_label_names": [name.encode() for name in names]})
    write_pickle(tmp_path / "test", {b"data": pixels, b"fine_labels": [96, 97, 98, 99], b"coarse_labels": [3] * 4})
    assert read_cifar(tmp_path, "test", "cifar100").labels.tolist() == [96, 97, 98, 99]


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"batches\.meta: cannot be read: No such file"):
        read_cifar(tmp_path, "train")


def official(folder: Path, kind: str) -> dict[int, int]:
    """All 50,000 training images as files with holes; returns the label of those that are not of class 0, by index."""
    marks = {0: 1, 44_999: 2, 45_000: 3, 49_999: 4}
    files = ["train.bin"] if kind == "cifar100" else [f"data_batch_{number}.bin" for number in range(1, 6)]
    record = 3074 if kind == "cifar100" else 3073
    each = 50_000 // len(files)
    for number, name in enumerate(files):
        with (folder / name).open("wb") as file:
            file.truncate(each * record)
            for index, label in marks.items():
                if index // each == number:
                    file.seek((index % each + 1) * record - 3073)
                    file.write(bytes([label, 255]))
    name, count = ("fine_label_names.txt", 100) if kind == "cifar100" else ("batches.meta.txt", 10)
    (folder / name).write_text("\n".join(f"class{number}" for number in range(count)))
    return marks


@pytest.mark.parametrize("kind", ["cifar10", "cifar100"])
def test_the_two_parts_of_train_for_choosing(tmp_path: Path, kind: str) -> None:
    marks = official(tmp_path, kind)
    for split, first, last in (("train", 0, 50_000), ("train45k", 0, 45_000), ("val5k", 45_000, 50_000)):
        dataset = read_cifar(tmp_path, split, kind)
        expected = {index - first: label for index, label in marks.items() if first <= index < last}
        assert (len(dataset), len(dataset.pixels)) == (last - first, last - first)
        assert {int(index): dataset.label(index) for index in np.flatnonzero(dataset.labels)} == expected
        assert all(dataset.pixels[index, 0, 0, 0] == 255 for index in expected)


def test_a_part_of_other_than_all_training_images_is_refused(binary: Path) -> None:
    with pytest.raises(DataError, match=f"{binary}: val5k is a part of 50000 training images, got {5 * RECORDS}"):
        read_cifar(binary, "val5k")
