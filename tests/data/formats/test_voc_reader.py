from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from PIL import Image

from resdet.data.dataset import usable_indices
from resdet.data.formats.voc import read_voc
from resdet.errors import DataError


@pytest.mark.parametrize(
    ("folder", "split", "images", "objects", "difficult"),
    [
        ("voc2012_mini/VOC2012", "val", 100, 273, 38),
        ("kangaroo_voc", "train", 130, None, 0),
        ("kangaroo_voc", "val", 33, None, 0),
    ],
)
def test_real_folders_against_the_xml(
    shared_data: Path, folder: str, split: str, images: int, objects: int | None, difficult: int
) -> None:
    root = shared_data / folder
    dataset = read_voc(root, split)
    keys = (root / "ImageSets" / "Main" / f"{split}.txt").read_text().split()
    trees = [ET.parse(root / "Annotations" / f"{key}.xml").getroot() for key in keys]
    found = [
        [[int(item.findtext(f"bndbox/{tag}")) for tag in ("xmin", "ymin", "xmax", "ymax")] for item in tree.iter("object")]
        for tree in trees
    ]
    assert len(dataset) == images
    assert len(dataset.labels) == sum(map(len, found)) == (objects or len(dataset.labels))
    assert dataset.difficult.sum() == dataset.ignore.sum() == difficult
    for index, (tree, boxes) in enumerate(zip(trees, found, strict=True)):
        target = dataset.target(index)
        assert target.boxes.tolist() == [[x1 - 1, y1 - 1, x2, y2] for x1, y1, x2, y2 in boxes]
        assert [dataset.names[label] for label in target.labels.tolist()] == [
            item.findtext("name") for item in tree.iter("object")
        ]
    image, target = dataset.load(0)
    assert (image.height, image.width) == target.size


def test_difficult_objects(shared_data: Path) -> None:
    root = shared_data / "voc2012_mini" / "VOC2012"
    ignoring, keeping = read_voc(root, "val"), read_voc(root, "val", keep_difficult=True)
    assert not keeping.ignore.any()
    marks = [row.get("difficult", 0) for row in keeping.ground_truth()["annotations"]]
    assert sum(marks) == 38
    assert ignoring.ground_truth() == keeping.ground_truth()
    assert all(row.get("ignore", 0) == row.get("difficult", 0) for row in ignoring.ground_truth()["annotations"])
    assert len(usable_indices(keeping)) == 100


OBJECT = """<object><name>{name}</name>{difficult}<part><name>head</name><bndbox><xmin>1</xmin></bndbox></part>
<bndbox><xmin>{xmin}</xmin><ymin>{ymin}</ymin><xmax>{xmax}</xmax><ymax>{ymax}</ymax></bndbox></object>"""


def an_object(name: str = "dog", box: tuple = (1, 1, 20, 10), difficult: str = "") -> str:
    xmin, ymin, xmax, ymax = box
    return OBJECT.format(name=name, xmin=xmin, ymin=ymin, xmax=xmax, ymax=ymax, difficult=difficult)


def an_image(*objects: str, filename: str = "1.jpg", size: str = "<size><width>20</width><height>10</height></size>") -> str:
    return f"<annotation><filename>{filename}</filename>{size}{''.join(objects)}</annotation>"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for folder in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (tmp_path / folder).mkdir(parents=True)
    return tmp_path


def read(root: Path, *xml: str, images: int | None = None, **options: object):
    (root / "ImageSets" / "Main" / "all.txt").write_text("\n".join(str(key) for key in range(1, len(xml) + 1)))
    for key, text in enumerate(xml, 1):
        (root / "Annotations" / f"{key}.xml").write_text(text)
    for key in range(1, (len(xml) if images is None else images) + 1):
        Image.new("RGB", (20, 10)).save(root / "JPEGImages" / f"{key}.jpg")
    return read_voc(root, "all", **options)


def test_one_based_inclusive_pixels(root: Path) -> None:
    dataset = read(root, an_image(an_object(box=(1, 1, 20, 10)), an_object("cat", (3, 4, 3, "4.0"))), an_image())
    assert dataset.names == ("cat", "dog")
    assert dataset.category_ids == (1, 2)
    assert dataset.image_ids == [1, 2]
    assert dataset.target(0).boxes.tolist() == [[0, 0, 20, 10], [2, 3, 3, 4]]
    assert dataset.target(0).labels.tolist() == [1, 0]
    assert len(dataset.target(1)) == 0


def test_names_asked_for(root: Path) -> None:
    dataset = read(root, an_image(an_object()), names=["cow", "dog"])
    assert dataset.target(0).labels.tolist() == [1]
    with pytest.raises(DataError) as caught:
        read(root, an_image(an_object()), an_image(an_object("cwo")), names=["cow", "dog"])
    first, difference, place = caught.value.problems
    assert "class 'cwo' is not among the classes asked for (did you mean 'cow'?)" in first
    assert "only in the file: cwo; only asked for: cow" in difference
    assert place == f"{root / 'Annotations' / '2.xml'}: uses class 'cwo'"


def test_another_image_type_is_found_by_the_suffix_of_the_filename(root: Path) -> None:
    Image.new("RGB", (20, 10)).save(root / "JPEGImages" / "1.png")
    dataset = read(root, an_image(an_object(), filename="renamed.png"), images=0)
    assert dataset.path(0).name == "1.png"


def test_the_filename_of_the_xml_leads_nowhere(root: Path) -> None:
    Image.new("RGB", (20, 10)).save(root / "away.jpg")
    with pytest.raises(DataError, match=r"no such image file: .*/JPEGImages/1\.jpg"):
        read(root, an_image(an_object(), filename="../away.jpg"), images=0)


def test_class_lists_with_a_second_column(root: Path) -> None:
    read(root, an_image(an_object()))
    (root / "ImageSets" / "Main" / "dog_all.txt").write_text("1  -1\n\n")
    assert len(read_voc(root, "dog_all")) == 1


@pytest.mark.parametrize(
    ("mark", "expected"),
    [
        ("<difficult>0</difficult>", False),
        ("<difficult>1</difficult>", True),
        ("<Difficult>1</Difficult>", True),
        ("<difficult>True</difficult>", True),
        ("<difficult>false</difficult>", False),
        ("<difficult>Unspecified</difficult>", False),
        ("<difficult/>", False),
    ],
)
@pytest.mark.filterwarnings("ignore:.* read as difficult")
def test_marks_of_difficult_objects(root: Path, mark: str, expected: bool) -> None:
    assert read(root, an_image(an_object(difficult=mark))).difficult.tolist() == [expected]


def test_boxes_from_0_are_clipped(root: Path) -> None:
    with pytest.warns(UserWarning, match=r"1 boxes reach out .* by 1 pixels at most: .*1\.xml: object 1"):
        dataset = read(root, an_image(an_object(box=(0, 0, 19, 9))))
    assert dataset.target(0).boxes.tolist() == [[0, 0, 19, 9]]


BOMB = '<!DOCTYPE x [<!ENTITY a "b">]><annotation>&a;</annotation>'
DEFECTS = [
    ("<annotation>", "1.xml: is not XML that can be read"),
    ("", "1.xml: is not XML that can be read"),
    (BOMB, "1.xml: is not XML that can be read"),
    (
        an_image(size="<size><width>-1</width><height>10</height></size>"),
        "1.xml: 'size/width' must be a positive integer, got '-1'",
    ),
    (an_image(size="<size><width>x</width><height>10</height></size>"), "'size/width' must be a positive integer, got 'x'"),
    (an_image(size=f"<size><width>{'9' * 400}</width><height>1</height></size>"), "'size/width' must be a positive integer"),
    (an_image(an_object(name="")), "1.xml: object 1: 'name' must not be empty or missing"),
    (
        an_image(an_object(), an_object(difficult="<difficult>yes</difficult>")),
        "object 2: 'difficult' must be 0 or 1, got 'yes'",
    ),
    (an_image("<object><name>dog</name></object>"), "object 1: 'bndbox/xmin' must be a number, got '' (missing or empty)"),
    (an_image(an_object(box=(1, 1, "a", 5))), "object 1: 'bndbox/xmax' must be a number, got 'a'"),
    (an_image(an_object(box=(1, "nan", 5, 5))), "object 1: box must be finite"),
    (an_image(an_object(box=(8, 1, 5, 5))), "object 1: box must have a positive width and height, got [7, 0, -2, 5]"),
    (an_image(an_object(box=(21, 1, 25, 5))), "object 1: box lies wholly outside its image of 20 x 10 pixels"),
]


@pytest.mark.parametrize(("xml", "message"), DEFECTS, ids=[message[:50] for _, message in DEFECTS])
def test_every_defect_is_told(root: Path, xml: str, message: str) -> None:
    with pytest.raises(DataError) as caught:
        read(root, xml)
    assert message in caught.value.problems[0]
    assert str(root / "Annotations" / "1.xml") in caught.value.problems[0]


def test_defects_of_several_files_come_together(root: Path) -> None:
    with pytest.raises(DataError) as caught:
        read(root, "<a", an_image(an_object(box=(8, 1, 5, 5))), an_image(), images=2)
    assert [Path(problem.split(": ")[0]).name for problem in caught.value.problems] == ["1.xml", "3.xml", "2.xml"]
    assert "no such image file" in caught.value.problems[1]


def test_defects_of_the_list(root: Path) -> None:
    read(root, an_image(an_object()))
    lists = root / "ImageSets" / "Main"
    cases = {
        "twice": ("1\n1", "image '1' is listed twice"),
        "away": ("../1", "must be relative"),
        "empty": ("\n", "holds no image"),
    }
    for name, (text, message) in {**cases, "ghost": ("1\n7", "7.xml: cannot be read: No such file")}.items():
        (lists / f"{name}.txt").write_text(text)
        with pytest.raises(DataError, match=message):
            read_voc(root, name)
    with pytest.raises(DataError, match=r"none\.txt: cannot be read: No such file"):
        read_voc(root, "none")
    (lists / "binary.txt").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(DataError, match="is not text"):
        read_voc(root, "binary")


def test_a_test_set_without_any_xml_is_read_with_a_warning(root: Path) -> None:
    read(root, an_image(an_object()), an_image())
    Image.new("RGB", (7, 9)).save(root / "JPEGImages" / "t.jpg")
    (root / "ImageSets" / "Main" / "test.txt").write_text("t\n2\n")
    with pytest.raises(DataError, match=r"t\.xml: cannot be read: No such file"):  # some have one: the other is missing
        read_voc(root, "test", ["dog"])
    (root / "Annotations" / "2.xml").unlink()
    with pytest.warns(UserWarning, match=r"test\.txt: no image of it has an xml: they can be detected on"):
        dataset = read_voc(root, "test", ["dog"])
    assert (dataset.sizes.tolist(), len(dataset.labels), dataset.names) == ([[9, 7], [10, 20]], 0, ("dog",))
    with pytest.raises(DataError, match=r"test\.txt: no image of it has an xml .* its classes are not known"):
        read_voc(root, "test")
    (root / "JPEGImages" / "t.jpg").unlink()
    with pytest.raises(DataError, match=r"t\.jpg: no such image file"):
        read_voc(root, "test", ["dog"])
