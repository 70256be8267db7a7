"""labelme's files: shapes of every type, and files that are not as they should be."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import pytest
from test_exports import source

from resdet.data.formats.exports.labelme import read_labelme
from resdet.errors import DataError

LABELME_SHAPES = [
    {"label": "cat", "points": [[9, 7], [9, 12]], "shape_type": "circle"},
    {"label": "dog", "points": [[20, 5], [30, 5], [25, 15]]},
    {"label": "nose", "points": [[3, 3]], "shape_type": "point"},
]


def test_shapes_of_every_type(tmp_path: Path) -> None:
    source(tmp_path, "labelme")
    (tmp_path / "photos" / "b.json").unlink()
    content = {"shapes": LABELME_SHAPES, "imagePath": "..\\elsewhere\\old.jpg", "imageData": "AAAA"}
    (tmp_path / "photos" / "a.json").write_text(json.dumps(content))
    (tmp_path / "other.json").write_text("{}")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        dataset = read_labelme(tmp_path)
    assert dataset.target(0).boxes.tolist() == [[4, 2, 14, 12], [20, 5, 30, 15]]
    assert [str(each.message).split(": ", 1)[1].split(", the first")[0] for each in caught] == [
        "1 json files are left out, for they have no 'shapes' as labelme's do",
        "1 shapes of type 'circle' are read as the boxes around them",
        "1 shapes of type 'polygon' are read as the boxes around them",
        "1 shapes of type 'point' are left out, for they are no boxes",
        "1 files belong to the image of their own name, for that of 'imagePath' is not there",
        "1 images without a json file are left out",
    ]


def test_files_in_a_folder_beside_the_images(tmp_path: Path) -> None:
    source(tmp_path, "labelme")
    for name in "ab":
        content = json.loads((tmp_path / "photos" / f"{name}.json").read_text()) | {"imagePath": f"..\\photos\\{name}.jpg"}
        (tmp_path / "photos" / f"{name}.json").unlink()
        (tmp_path / "labels").mkdir(exist_ok=True)
        (tmp_path / "labels" / f"{name}.json").write_text(json.dumps(content))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(read_labelme(tmp_path)) == 2


LABELME_BROKEN = {
    "{": "a.json: is not JSON",
    '{"shapes": 5}': "a.json: is not a file of labelme",
    '{"shapes": [{"points": [[1, 2], [3, 4]]}], "imagePath": "a.jpg"}': "the key 'label' is missing",
    '{"shapes": [{"label": "x", "points": [], "shape_type": "star"}], "imagePath": "a.jpg"}': "'star' is no type of shape",
    '{"shapes": [{"label": "x", "points": [[1, 1], [900, 5]]}], "imagePath": "../../a.jpg", "imageWidth": 3}': "",
    '{"shapes": [], "imagePath": "' + "x" * 5000 + '"}': "",
}


@pytest.mark.parametrize("text", LABELME_BROKEN, ids=range(len(LABELME_BROKEN)))
@pytest.mark.filterwarnings("ignore:.*(images?|polygon|clipped)")
def test_labelme_files_that_are_wrong(text: str, tmp_path: Path) -> None:
    source(tmp_path, "labelme")
    (tmp_path / "photos" / "a.json").write_text(text)
    if not LABELME_BROKEN[text]:  # imagePath is no more than a hint
        assert read_labelme(tmp_path).path(0) == tmp_path / "photos" / "a.jpg"
        return
    with pytest.raises(DataError) as caught:
        read_labelme(tmp_path)
    assert len(caught.value.problems) == 1
    assert LABELME_BROKEN[text] in caught.value.problems[0]
