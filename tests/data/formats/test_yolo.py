"""YOLO folders: hand-worked boxes, the layouts in use, and every broken file."""

from pathlib import Path

import pytest
import yaml
from PIL import Image

from resdet.data.dataset import usable_indices
from resdet.data.formats.yolo import read_yolo
from resdet.errors import DataError


def an_image(path: Path, size: tuple[int, int] = (20, 10), orientation: int = 1) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", size).save(path, exif=exif)


def a_file(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two images, the second without a label file."""
    for name in ("a.jpg", "deep er/b.png"):
        an_image(tmp_path / "images" / "train" / name)
    a_file(tmp_path / "labels" / "train" / "a.txt", "1 0.5 0.5 0.5 0.4\n\n0 0.05 0.1 0.1 0.2\n")
    a_file(tmp_path / "data.yaml", yaml.safe_dump({"names": ["cat", "big dog"]}))
    return tmp_path


def problems_of(root: Path, *arguments: object) -> list[str]:
    with pytest.raises(DataError) as caught:
        read_yolo(root, "train", *arguments)
    return list(caught.value.problems)


def test_boxes_are_fractions_of_the_sides(root: Path) -> None:
    dataset = read_yolo(root, "train")
    assert dataset.names == ("cat", "big dog")
    assert (dataset.image_ids, dataset.category_ids) == ([1, 2], (1, 2))
    assert [dataset.path(index) for index in range(2)] == [root / "images/train/a.jpg", root / "images/train/deep er/b.png"]
    assert dataset.target(0).boxes.tolist() == [[5, 3, 15, 7], [0, 0, 2, 2]]
    assert dataset.target(0).labels.tolist() == [1, 0]
    assert len(dataset.target(1)) == 0
    assert usable_indices(dataset) == [0]
    assert dataset.load(1)[0].size == (20, 10)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_sizes_are_those_of_the_upright_image(root: Path, orientation: int) -> None:
    an_image(root / "images" / "train" / "a.jpg", (20, 10), orientation)
    dataset = read_yolo(root, "train")
    assert dataset.size(0) == ((20, 10) if orientation > 4 else (10, 20))
    assert dataset.load(0)[0].height == dataset.size(0)[0]  # decoding agrees


def test_names_asked_for_are_mapped(root: Path) -> None:
    dataset = read_yolo(root, "train", ["big dog", "cow", "cat"])
    assert dataset.target(0).labels.tolist() == [0, 2]
    problems = problems_of(root, ["big dog", "cta"])
    assert "class 'cat' is not among the classes asked for (did you mean 'cta'?)" in problems[0]


@pytest.mark.parametrize(
    ("entry", "files"),
    [
        ("train/images", {"train/images/a.jpg": "train/labels/a.txt"}),
        ("../train/images", {"train/images/a.jpg": "train/labels/a.txt"}),
        ("./photos", {"photos/a.jpg": "photos/a.txt", "photos/x/b.jpg": "photos/x/b.txt"}),
        (["images/one", "images/two"], {"images/one/a.jpg": "labels/one/a.txt", "images/two/a.jpg": "labels/two/a.txt"}),
        ("images", {"images/images/a.jpg": "images/labels/a.txt"}),
    ],
)
def test_the_yaml_says_where_the_images_are(tmp_path: Path, entry: object, files: dict[str, str]) -> None:
    a_file(tmp_path / "data.yaml", yaml.safe_dump({"path": "elsewhere", "train": entry, "names": {1: "b", 0: "a"}}))
    for image, label in files.items():
        an_image(tmp_path / image)
        a_file(tmp_path / label, "1 .5 .5 1 1\n")
    dataset = read_yolo(tmp_path, "train")
    assert [dataset.path(index) for index in range(len(dataset))] == [tmp_path / image for image in files]
    assert dataset.labels.tolist() == [1] * len(files)
    assert dataset.names == ("a", "b")


def test_a_text_file_of_images_keeps_its_order(root: Path) -> None:
    a_file(root / "train.txt", "./images/train/deep er/b.png\n\nimages/train/a.jpg\n")
    a_file(root / "data.yaml", yaml.safe_dump({"train": "train.txt", "names": ["cat", "dog"]}))
    a_file(root / "labels" / "train" / "unused.txt", "0 .5 .5 1 1")  # of no image of this list
    dataset = read_yolo(root, "train")
    assert [dataset.path(index).name for index in range(2)] == ["b.png", "a.jpg"]
    a_file(root / "train.txt", "images/train/a.jpg\nimages/train/a.jpg\n/etc/a.jpg\n../a.jpg\nimages/train/gone.jpg\n")
    assert problems_of(root) == [
        f"{root}/train.txt: line 2: 'images/train/a.jpg' is listed twice",
        f"{root}/train.txt: line 3: file name must be relative and stay in the images' folder, got '/etc/a.jpg'",
        f"{root}/train.txt: line 4: file name must be relative and stay in the images' folder, got '../a.jpg'",
        f"{root}/images/train/gone.jpg: no such image file",
    ]


def test_another_yaml(root: Path, tmp_path: Path) -> None:
    a_file(tmp_path / "other.yaml", yaml.safe_dump({"names": ["x", "y"]}))
    assert read_yolo(root, "train", None, tmp_path / "other.yaml").names == ("x", "y")


LINES = {
    "2 .5 .5 1 1": "a class from 0 to 1",
    "-1 .5 .5 1 1": "a class from 0 to 1",
    "1.5 .5 .5 1 1": "a class from 0 to 1",
    "9 .5 .5 1 1": "a class from 0 to 1 and four numbers (class 9)",
    "cat .5 .5 1 1": "a class from 0 to 1",
    "0 .5 .5 1": "four numbers, got '0 .5 .5 1'",
    "0 .5 .5 1 1 9": "(6 numbers: a confidence? it must lie from 0 to 1)",
    "0 .1 .1 .5 .1 .5 .5 1": "(8 numbers: a polygon? its coordinates must come in pairs)",
    "0 320 200 64 48": "must hold fractions of the image's sides (values above 1: pixels?)",
    "0 .5 .5 1 x": "four numbers",
    "0 .5 .5 nan 1": "box must be finite",
    "0 .5 inf 1 1": "box must be finite",
    "0 .5 .5 -.1 1": "box must have a positive width and height",
    "0 1.5 .5 .5 .5": "box lies wholly outside its image of 20 x 10 pixels, got [25, 2.5, 10, 5]",
}


@pytest.mark.parametrize("line", LINES)
def test_bad_lines_are_named(root: Path, line: str) -> None:
    a_file(root / "labels" / "train" / "a.txt", f"0 .5 .5 1 1\n{line}\n")
    (problem,) = problems_of(root)
    assert problem.startswith(f"{root}/labels/train/a.txt: line 2: ")
    assert LINES[line] in problem


def test_boxes_at_the_edges(root: Path) -> None:
    lines = "0 .95 .5 .2 1\n0 .5 .5 0 .5\n0 .05 .05 .1 .1\n"  # out to the right, empty, in the corner
    a_file(root / "labels" / "train" / "a.txt", lines)
    with pytest.warns(UserWarning, match=r"1 boxes reach out .* by 1 pixels") as caught:
        dataset = read_yolo(root, "train")
    assert any("1 boxes without area" in str(item.message) for item in caught)
    assert dataset.target(0).boxes.tolist() == [[17, 0, 20, 10], [0, 0, 2, 1]]


def test_fractions_of_six_digits_reach_no_image_s_edge(root: Path, recwarn: pytest.WarningsRecorder) -> None:
    """A box that ends at the edge is written as a centre and a width, both rounded: 0.0005 pixels of an image of 1,000."""
    an_image(root / "images" / "train" / "a.jpg", (999, 999))
    x, w = (f"{value / 999:.6f}" for value in (999 - 333 / 2 + 4e-4, 333))
    a_file(root / "labels" / "train" / "a.txt", f"0 {x} .5 {w} .5\n")
    assert float(x) + float(w) / 2 > 1
    read_yolo(root, "train")
    assert not recwarn.list


YAMLS = {
    "": "must be a mapping with the key 'names', got NoneType",
    "[1": "is not YAML",
    "train: x": "'names' must be a list of class names, or a mapping of their indices, got None",
    "names: []": "'names' must be a list of class names",
    "names: [a, 5.5]": "class 1 must be text (in quotes, if need be), got 5.5",
    "names: [yes, no]": "class 0 must be text (in quotes, if need be), got True",
    "names: [a, a]": "'names': 'a' is used twice",
    "names: {1: a, 2: b}": "'names' must have the keys 0 … 1, got [1, 2]",
    "names: [a, b]\ntrain: /data": "'train': file name must be relative",
    "names: [a, b]\ntrain: a/../../b": "'train': file name must be relative",
    "names: [a, b]\ntrain: gone": "'train': no such folder of images: ",
    "names: [a, b]\ntrain: gone.txt": "gone.txt: cannot be read: No such file",
    "names: [a, b]\ntrain: 5": "'train' must name folders or text files, got 5",
    "names: !!python/object/apply:os.system [ls]": "is not YAML",
    "names: [a]\nx: !!timestamp soon": "is not YAML",
    "names: [a]\nx: !!bool z": "is not YAML",
    'names: [a]\nx: !!int ""': "is not YAML",
    "names: [0x" + "f" * 9000 + "]": "class 0 must be text",
    "a: &a {names: [x]}\n<<: *a": "is not YAML: merge keys (<<) are not read",
}


@pytest.mark.parametrize("text", YAMLS)
def test_bad_descriptions(root: Path, text: str) -> None:
    a_file(root / "data.yaml", text)
    problem = problems_of(root)[0]
    assert problem.startswith(str(root))
    assert YAMLS[text] in problem


def test_a_yaml_of_nested_aliases_is_told_quickly(root: Path) -> None:
    layers = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    layers += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 20)]
    a_file(root / "data.yaml", "\n".join([*layers, "names: *a19"]))
    problems = problems_of(root)
    assert all(len(problem) < 5000 for problem in problems)
    assert "class 0 must be text" in problems[0]


def test_a_yaml_of_nested_merge_keys_is_told_quickly(root: Path) -> None:
    layers = ["a0: &a0 {k: v}"] + [f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}" for n in range(1, 30)]
    a_file(root / "data.yaml", "\n".join([*layers, "names: [a, b]"]))
    assert "merge keys" in problems_of(root)[0]


def test_links_are_followed_but_not_in_circles(root: Path) -> None:
    expected = read_yolo(root, "train").files.tolist()
    (root / "images" / "train" / "again").symlink_to(".")
    (root / "images" / "train" / "deep er" / "up").symlink_to("..")
    assert read_yolo(root, "train").files.tolist() == expected
    an_image(root / "elsewhere" / "c.jpg")
    (root / "images" / "train" / "link").symlink_to(root / "elsewhere")
    assert len(read_yolo(root, "train")) == 3


def test_files_of_other_programs(root: Path) -> None:
    a_file(root / "labels" / "train" / "classes.txt", "cat\nbig dog\n")
    (root / "labels" / "train" / "a.txt").write_bytes(b"\xef\xbb\xbf1 0.5 0.5 0.5 0.4\n")
    a_file(root / "data.yaml", yaml.safe_dump({"names": ["cat", "big dog"], "train": ""}))
    dataset = read_yolo(root, "train")
    assert (len(dataset), dataset.labels.tolist()) == (2, [1])


def test_files_that_do_not_belong_together(root: Path) -> None:
    a_file(root / "labels" / "train" / "ghost.txt", "")
    an_image(root / "images" / "train" / "a.png")
    a_file(root / "images" / "train" / "c.jpg", "no image")
    (root / "labels" / "train" / "deep er").mkdir()
    (root / "labels" / "train" / "deep er" / "b.txt").write_bytes(b"\xff\xff")
    found = "\n".join(problems_of(root))
    assert f"{root}/labels/train/ghost.txt: a label file without an image in {root}/images/train" in found
    assert f"images/train/a.png: its label file {root}/labels/train/a.txt is that of images/train/a.jpg too" in found
    assert f"{root}/images/train/c.jpg: cannot be read as an image" in found
    assert "deep er/b.txt: cannot be read: 'utf-8' codec" in found


def test_a_split_without_images(root: Path) -> None:
    (root / "images" / "val").mkdir()
    with pytest.raises(DataError, match=r"data\.yaml: holds no image"):
        read_yolo(root, "val")
    with pytest.raises(DataError, match="'test': no such folder of images"):
        read_yolo(root, "test")
