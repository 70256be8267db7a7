from pathlib import Path

import pytest
from PIL import Image

from resdet.config.schema import DetectionSourceConfig
from resdet.data.formats.coco import read_coco
from resdet.data.formats.image_names import only_listed
from resdet.data.sources.detection import build_dataset
from resdet.errors import ConfigError, DataError


def listed(tiny_coco, tmp_path: Path, text: str, *, by_id: bool = True) -> list[int]:
    (tmp_path / "list.txt").write_text(text)
    dataset = read_coco(tiny_coco.images, tiny_coco.annotations)
    return only_listed(dataset, tmp_path / "list.txt", tiny_coco.images, by_id=by_id).image_ids


def test_names_with_and_without_suffix_and_ids(tiny_coco, tmp_path: Path) -> None:
    assert listed(tiny_coco, tmp_path, "000005.png\n\n 000002 \n4\n") == [2, 4, 5]  # in the data set's order


BAD = {
    "000001\n000009\n": ["line 2: '000009' names no image of the data set"],
    "000001\n1\n000001.png\n": [
        "line 2: '1' is the image of line 1 already",
        "line 3: '000001.png' is the image of line 1 already",
    ],
    "\n\n": ["list.txt: names no image"],
    "../images/000001.png\n": ["line 1: '../images/000001.png' names no image"],
    "x" * 5000: ["names no image"],
}


@pytest.mark.parametrize("text", BAD, ids=range(len(BAD)))
def test_bad_lines(tiny_coco, tmp_path: Path, text: str) -> None:
    with pytest.raises(DataError) as caught:
        listed(tiny_coco, tmp_path, text)
    assert len(caught.value.problems) == len(BAD[text])
    assert all(message in problem for message, problem in zip(BAD[text], caught.value.problems, strict=True))


def test_ids_made_up_by_a_reader_name_nothing(tiny_coco, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="'1' names no image"):
        listed(tiny_coco, tmp_path, "1", by_id=False)


def test_a_name_of_two_images(tiny_coco, tmp_path: Path) -> None:
    content = tiny_coco.read()
    (tiny_coco.images / "sub").mkdir()
    Image.new("RGB", (8, 8)).save(tiny_coco.images / "sub" / "000001.png")
    content["images"].append({"id": 70, "file_name": "sub/000001.png", "width": 8, "height": 8})
    tiny_coco.write(content)
    with pytest.raises(DataError, match="'000001' names 2 images of the data set"):
        listed(tiny_coco, tmp_path, "000001")
    assert listed(tiny_coco, tmp_path, "sub/000001\n") == [70]


def test_files_that_are_no_lists(tiny_coco, tmp_path: Path) -> None:
    dataset = read_coco(tiny_coco.images, tiny_coco.annotations)
    (tmp_path / "binary").write_bytes(b"\xff\xff")
    for path, message in ((tmp_path, "cannot be read"), (tmp_path / "binary", "is not text")):
        with pytest.raises(DataError, match=message):
            only_listed(dataset, path, tiny_coco.images, by_id=True)


def test_the_option_of_a_source(tiny_coco, tmp_path: Path) -> None:
    (tmp_path / "minival.txt").write_text("3\n000006\n")
    source = DetectionSourceConfig(
        "coco", str(tiny_coco.images), str(tiny_coco.annotations), images=str(tmp_path / "minival.txt")
    )
    assert build_dataset([source]).image_ids == [3, 6]
    source.images = "gone.txt"
    with pytest.raises(ConfigError, match=r"option 'data.train.images' must name a file, got 'gone.txt'"):
        build_dataset([source])


def test_voc_images_by_name(shared_data: Path, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("2007_000032\n2007_000027.jpg\n")
    root = str(shared_data / "voc2012_mini" / "VOC2012")
    dataset = build_dataset([DetectionSourceConfig("voc", root, split="val", images=str(tmp_path / "list.txt"))])
    assert [dataset.path(index).stem for index in range(len(dataset))] == ["2007_000027", "2007_000032"]
