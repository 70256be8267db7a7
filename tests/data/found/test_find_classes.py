"""What is found below a path for a classifier: folders of classes, lists, their parts; and what is said where they are not."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from layouts import fill

from resdet.config.schema import ClassificationSourceConfig
from resdet.data.found import find_classes, find_data, find_task
from resdet.data.sources.classification import build_classification_dataset
from resdet.errors import ConfigError, DataError

CSV = "path,label\n"
Layout = tuple[dict[str, object], tuple[str, str, str], tuple[str, str, str] | None]
CLASSES: dict[str, object] = {"cat__1.jpg": None, "cat__2.jpg": None, "dog__1.jpg": None, "dog__more__2.jpg": None}


def within(folder: str, files: dict[str, object] = CLASSES) -> dict[str, object]:
    return {f"{folder}__{name}": content for name, content in files.items()}


# files, then (format, root, annotations) to train on and to validate on, paths relative to the folder
LAYOUTS: dict[str, Layout] = {
    "folders of classes": (CLASSES, ("folder", "", ""), None),
    "folders of classes in a folder": (within("photos"), ("folder", "photos", ""), None),
    "train and val": (within("train") | within("val"), ("folder", "train", ""), ("folder", "val", "")),
    "train and valid and test": (
        within("train") | within("valid") | within("test"),
        ("folder", "train", ""),
        ("folder", "valid", ""),
    ),
    "Train and Test, in a folder": (
        within("data__Train") | within("data__Test"),
        ("folder", "data/Train", ""),
        ("folder", "data/Test", ""),
    ),
    "seg_train and seg_test, in folders of their own": (
        within("seg_train__seg_train") | within("seg_test__seg_test") | {"seg_pred__1.jpg": None},
        ("folder", "seg_train/seg_train", ""),
        ("folder", "seg_test/seg_test", ""),
    ),
    "Training and Testing": (
        within("Training") | within("Testing"),
        ("folder", "Training", ""),
        ("folder", "Testing", ""),
    ),
    "names without suffix, semicolons": (
        {"labels.csv": "id;breed\r\n1;cat\r\n", "train__1.jpg": None},
        ("list", "", "labels.csv"),
        None,
    ),
    "a list in each part": (
        {
            f"{part}__{name}": text
            for part in ("train", "test")
            for name, text in (("metadata.csv", "file_name,label\n1.jpg,cat\n"), ("1.jpg", None))
        },
        ("list", "train", "train/metadata.csv"),
        ("list", "test", "test/metadata.csv"),
    ),
    "Hugging Face's imagefolder": (
        {
            "metadata.jsonl": '{"file_name": "images/1.jpg", "label": 3}\n{"file_name": "images/2.jpg", "label": 0}\n',
            "images__1.jpg": None,
            "images__2.jpg": None,
        },
        ("list", "", "metadata.jsonl"),
        None,
    ),
    "train alone": (within("train"), ("folder", "train", ""), None),
    "a test part without classes": (within("train") | {"test__1.jpg": None}, ("folder", "train", ""), None),
    "a class called train": ({"bus__1.jpg": None, "train__1.jpg": None, "val__1.jpg": None}, ("folder", "", ""), None),
    "a list among the images": (
        {"labels.csv": CSV + "1.jpg,cat\n", "1.jpg": None},
        ("list", "", "labels.csv"),
        None,
    ),
    "a list beside a folder of images": (
        {"labels.csv": "Image,Class\n1.jpg,cat\n", "images__1.jpg": None},
        ("list", "images", "labels.csv"),
        None,
    ),
    "paths that name their folder": (
        {"all.json": [{"file_name": "images/1.jpg", "category": 3}], "images__1.jpg": None},
        ("list", "", "all.json"),
        None,
    ),
    "lists of parts": (
        {
            "train.csv": "filename,label\n1.jpg,cat\n",
            "test.csv": "filename,label\n2.jpg,cat\n",
            "train__1.jpg": None,
            "test__2.jpg": None,
        },
        ("list", "train", "train.csv"),
        ("list", "test", "test.csv"),
    ),
    "a list whose images are the classes' folders": (
        CLASSES | {"chosen.csv": CSV + "cat/1.jpg,cat\ndog/1.jpg,dog\n"},
        ("list", "", "chosen.csv"),
        None,
    ),
    "a list of something else": (CLASSES | {"score.csv": "image,class\nx.jpg,y\n"}, ("folder", "", ""), None),
}


def described(source: ClassificationSourceConfig, root: Path) -> tuple[str, str, str]:
    """A source with paths relative to ``root``."""

    def relative(path: str) -> str:
        return Path(path).relative_to(root).as_posix().removeprefix(".") if path else ""

    return source.format, relative(source.root), relative(source.annotations)


@pytest.mark.parametrize("case", LAYOUTS)
def test_layouts(case: str, tmp_path: Path) -> None:
    files, train, val = LAYOUTS[case]
    found = find_classes(fill(tmp_path, **files))
    assert described(found.train, tmp_path) == train
    assert (described(found.val, tmp_path) if found.val else None) == val
    assert found.notes == ()
    assert find_task(tmp_path) == "classification"


@pytest.mark.filterwarnings("ignore:.*reads the column")
@pytest.mark.parametrize("case", ["folders of classes", "Train and Test, in a folder", "lists of parts"])
def test_an_archive(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = fill(tmp_path / "here" / "export", **LAYOUTS[case][0])
    with zipfile.ZipFile(tmp_path / "mine.zip", "w") as zipped:
        for path in folder.rglob("*"):
            zipped.write(path, path.relative_to(folder.parent))
            if path.is_file():  # what macOS adds
                zipped.writestr(f"__MACOSX/{path.relative_to(folder.parent).parent}/._{path.name}", "x")
    found = find_classes(tmp_path / "mine.zip")
    assert Path(found.train.root).is_relative_to(tmp_path / "cache")
    assert len(build_classification_dataset(found.train)) == {"lists of parts": 1}.get(case, 4)


def test_a_list_alone(tmp_path: Path) -> None:
    fill(tmp_path, **LAYOUTS["lists of parts"][0])
    found = find_classes(tmp_path / "test.csv")
    assert (described(found.train, tmp_path), found.val) == (("list", "test", "test.csv"), None)


def test_a_path_too_long_for_a_name_is_no_image(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    (tmp_path / "list.csv").write_text(f"path,label\n{'x' * 300}.jpg,cat\na.jpg,dog\n")
    assert find_classes(tmp_path).train.root == str(tmp_path)


def test_images_beside_the_folders_are_told(tmp_path: Path) -> None:
    (note,) = find_classes(fill(tmp_path, **CLASSES | {"b.jpg": None, "a.jpg": None})).notes
    assert note.startswith(f"{tmp_path}: 2 images lie beside the folders of classes, a.jpg for one: left out")
    (note,) = find_classes(fill(tmp_path / "x", **within("train") | within("val") | {"val__c.jpg": None})).notes
    assert note.startswith(f"{tmp_path / 'x' / 'val'}: 1 image lies beside")


BOXES: dict[str, dict[str, object]] = {
    "coco": {
        "annotations__instances_train2017.json": {"images": [], "annotations": [], "categories": []},
        "train2017__a.jpg": None,
        "val2017__a.jpg": None,
    },
    "labelimg in folders": {"cats__a.jpg": None, "cats__a.xml": "<annotation></annotation>", "dogs__b.jpg": None},
    "boxes in a csv": {"labels.csv": "filename,class,xmin,ymin,xmax,ymax\n", "images__a.jpg": None},
}


@pytest.mark.parametrize("case", BOXES)
def test_boxes_are_for_a_detector(case: str, tmp_path: Path) -> None:
    assert find_task(fill(tmp_path, **BOXES[case])) == "detection"
    assert find_data(tmp_path).train


@pytest.mark.parametrize("columns", ["x,y,width,height", "x,y,w,h"])
def test_a_table_whose_boxes_cannot_be_read_is_no_list_of_classes(columns: str, tmp_path: Path) -> None:
    table = f"filename,{columns},class\na.jpg,1,1,5,5,cat\nb.jpg,1,1,5,5,dog\n"
    with pytest.raises(
        DataError, match=r"x, y may be corners or centres; where they are left, top, .*, call the columns bbox_x"
    ):
        find_task(fill(tmp_path, **{"labels.csv": table, "a.jpg": None, "b.jpg": None}))


@pytest.mark.parametrize("case", ["coco", "boxes in a csv"])
def test_no_classes(case: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no labelled images found.*train a detector \(resdet train-det --data\)"):
        find_classes(fill(tmp_path, **BOXES[case]))


def test_what_is_there_instead_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is: 2 images, 1 .docx\. "):
        find_classes(fill(tmp_path / "flat", **{"a.jpg": None, "b.png": None, "notes.docx": "x"}))
    with pytest.raises(DataError, match="in one folder of a class, cat; a classifier needs two classes"):
        find_classes(fill(tmp_path / "one", **{"cat__a.jpg": None}))
    with pytest.raises(DataError, match=r"several lists of images, a\.csv, b\.csv: name one of them, --data .*a\.csv"):
        find_classes(fill(tmp_path / "two", **{"a.csv": CSV, "b.csv": CSV}))
    with pytest.raises(ConfigError, match="--data must name a folder"):
        find_classes(tmp_path / "nowhere")
    with pytest.raises(DataError) as neither:
        find_task(tmp_path / "flat")
    assert [problem.partition(": ")[2].partition(" found")[0] for problem in neither.value.problems] == [
        "no annotations",
        "no labelled images",
    ]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "name,age\n"),
        ("a.csv", "filename\na.jpg\n"),
        ("a.csv", "filename,class,xmin,ymin,xmax,ymax\n"),
        ("a.json", "[]"),
        ("a.json", "[{]"),
        ("a.jsonl", '{"file_name": "a.jpg", "text": "a cat"}'),
        ("a.json", '{"path": "a.jpg", "label": "cat"}'),
        ("a.json", '[{"image": "a.jpg", "label": [{"rectanglelabels": ["cat"]}]}]'),
        ("a.txt", "path,label\n"),
    ],
)
def test_other_files_are_no_lists(name: str, content: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=r"is no list of images: must be a CSV, JSON or metadata\.jsonl list"):
        find_classes(tmp_path / name)
