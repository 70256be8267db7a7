import logging
import os
import warnings
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from resdet.data.formats import annotation_cache, coco
from resdet.data.formats.annotations import BoxWarning, DatasetBuilder
from resdet.data.formats.coco import read_coco
from resdet.data.formats.file_names import missing_files
from resdet.errors import DataError
from resdet.files import cache_folder


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Files of any size are kept; the json files that were truly read."""
    monkeypatch.setattr(annotation_cache, "_LARGE", 0)
    found: list[Path] = []
    parse = coco._parse
    monkeypatch.setattr(coco, "_parse", lambda path, builder: found.append(path) or parse(path, builder))
    return found


def same(one, other) -> bool:
    for field in fields(one):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if isinstance(a, np.ndarray):
            if a.dtype != b.dtype or a.shape != b.shape or a.tobytes() != b.tobytes():
                return False
        elif a != b or type(a) is not type(b):
            return False
    return True


def read(files, cache: Path | None, **options: object):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        dataset = read_coco(files.images, files.annotations, cache=cache, **options)
    return dataset, [str(warning.message) for warning in caught]


def test_what_is_kept_is_what_was_read_with_its_warnings(tiny_coco, tmp_path: Path, reads: list[Path]) -> None:
    content = tiny_coco.read()
    content["annotations"][0]["bbox"] = [-3.3, 0.1, 60, 12.7]
    content["annotations"][1]["bbox"] = [1, 1, 0, 3]
    content["annotations"][2]["area"] = 1 / 3
    tiny_coco.write(content)
    plain, told = read(tiny_coco, None)
    assert len(told) == 2
    first, again = read(tiny_coco, tmp_path / "cache"), read(tiny_coco, tmp_path / "cache")
    assert len(reads) == 2
    assert same(first[0], plain)
    assert same(again[0], plain)
    assert first[1] == again[1] == told
    assert again[0].target(0).boxes.tolist() == plain.target(0).boxes.tolist()


def test_a_changed_file_is_read_again_even_with_its_old_date_and_size(tiny_coco, tmp_path: Path, reads: list[Path]) -> None:
    read(tiny_coco, tmp_path)
    before = tiny_coco.annotations.stat()
    text = tiny_coco.annotations.read_text()
    changed = text.replace('"category_id": 7', '"category_id": 1', 1)
    assert changed != text
    tiny_coco.annotations.write_text(changed)
    os.utime(tiny_coco.annotations, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert tiny_coco.annotations.stat().st_size == before.st_size
    dataset, _ = read(tiny_coco, tmp_path)
    assert len(reads) == 2
    assert same(dataset, read(tiny_coco, None)[0])
    read(tiny_coco, tmp_path)
    assert len(reads) == 3


def test_other_arguments_are_kept_apart(tiny_coco, tmp_path: Path, reads: list[Path]) -> None:
    names = read(tiny_coco, tmp_path)[0].names
    turned, _ = read(tiny_coco, tmp_path, names=names[::-1])
    assert turned.names == names[::-1]
    read(tiny_coco, tmp_path, keep_difficult=True)
    assert len(reads) == 3
    assert read(tiny_coco, tmp_path)[0].names == names
    assert read(tiny_coco, tmp_path, names=names[::-1])[0].labels.tolist() == turned.labels.tolist()
    assert len(reads) == 3


def test_a_damaged_file_is_made_again(tiny_coco, tmp_path: Path, reads: list[Path], caplog: pytest.LogCaptureFixture) -> None:
    plain, _ = read(tiny_coco, tmp_path / "cache")
    (file,) = (tmp_path / "cache").iterdir()
    whole = file.read_bytes()
    draw = np.random.default_rng(0)
    damaged = [b"", whole[:100], whole[: len(whole) // 2], whole[:-1], b"PK\x03\x04 and nothing", b"\x80\x04pickle"]
    damaged += [bytes(draw.integers(0, 256, 500, dtype=np.uint8))]
    for place in draw.integers(0, len(whole), 60).tolist():
        flipped = bytearray(whole)
        flipped[place] ^= 1 << int(draw.integers(8))
        damaged.append(bytes(flipped))
    with caplog.at_level(logging.INFO, logger="resdet"):
        for content in damaged:
            file.write_bytes(content)
            assert same(read(tiny_coco, tmp_path / "cache")[0], plain)
            # what was made again is whole; a change that hit nothing, of a date in the archive, may stay
            assert same(read(tiny_coco, tmp_path / "cache")[0], plain)
    assert f"{file}: cannot be read" in caplog.text
    assert len(reads) > 30


def test_no_pickle_is_read(tiny_coco, tmp_path: Path, reads: list[Path]) -> None:
    plain, _ = read(tiny_coco, tmp_path)
    (file,) = tmp_path.glob("*.npz")
    with np.load(file) as archive:
        columns = dict(archive)

    class Fire:
        def __reduce__(self):
            return Path.touch, (tmp_path / "fired",)

    np.savez(file, **columns | {"boxes": np.array([Fire()], dtype=object)})
    assert same(read(tiny_coco, tmp_path)[0], plain)
    assert not (tmp_path / "fired").exists()


def test_a_folder_that_cannot_be_written_is_done_without(
    tiny_coco, tmp_path: Path, reads: list[Path], caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    with caplog.at_level(logging.INFO, logger="resdet"):
        dataset, _ = read(tiny_coco, tmp_path / "file" / "cache")
    assert same(dataset, read(tiny_coco, None)[0])
    assert "cannot be" in caplog.text


def test_images_are_looked_for_all_the_same(tiny_coco, tmp_path: Path, reads: list[Path]) -> None:
    dataset, _ = read(tiny_coco, tmp_path)
    dataset.path(3).unlink()
    with pytest.raises(DataError, match=r"image id 4: no such image file: .*000004\.png"):
        read(tiny_coco, tmp_path)


def test_errors_are_not_kept(tiny_coco, tmp_path: Path, reads: list[Path]) -> None:
    content = tiny_coco.read()
    content["images"][0]["height"] = -1
    tiny_coco.write(content)
    for _ in range(2):
        with pytest.raises(DataError, match="'height' must be a positive integer"):
            read(tiny_coco, tmp_path / "cache")
    assert len(reads) == 2
    tiny_coco.annotations.unlink()
    with pytest.raises(DataError, match="cannot be read: No such file"):
        read(tiny_coco, tmp_path / "cache")


def test_small_files_are_not_kept(tiny_coco, tmp_path: Path) -> None:
    read(tiny_coco, tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_the_folder_is_the_systems(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "resdet"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "resdet"


@pytest.mark.parametrize("count", [3, 200])
def test_missing_files_are_those_that_are_no_files(tmp_path: Path, count: int) -> None:
    names = [f"{number}.jpg" for number in range(count)]
    for name in names:
        (tmp_path / name).touch()
    (tmp_path / "1.jpg").unlink()
    (tmp_path / "2.jpg").unlink()
    (tmp_path / "2.jpg").mkdir()
    (tmp_path / "0.jpg").rename(tmp_path / "linked")
    (tmp_path / "0.jpg").symlink_to(tmp_path / "linked")
    paths = [os.fsencode(tmp_path / name) for name in [*names, "x" * 300, "none/a.jpg"]]
    assert missing_files(paths) == [1, 2, count, count + 1]
    assert missing_files([]) == []


def test_outlines_take_no_memory(tiny_coco) -> None:
    content = tiny_coco.read()
    for entry in content["annotations"]:
        entry["segmentation"] = [[0.5] * 10]
    tiny_coco.write(content)
    parsed = coco._parse(tiny_coco.annotations, DatasetBuilder("x"))
    for entry, row in zip(content["annotations"], parsed["annotations"], strict=True):
        assert entry.keys() - row.keys() == {"segmentation"}


def test_warnings_of_boxes_stay_warnings_of_boxes(tiny_coco, tmp_path: Path, reads: list[Path]) -> None:
    content = tiny_coco.read()
    content["annotations"][0] |= {"bbox": [1, 1, 0, 3], "image_id": "1"}
    tiny_coco.write(content)
    for _ in range(2):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            read_coco(tiny_coco.images, tiny_coco.annotations, cache=tmp_path / "cache")
        assert [each.category for each in caught] == [UserWarning, BoxWarning]
    assert len(reads) == 1
