"""VOC's results files: by hand, there and back, and scored as the kit does, line by line, from the files alone."""

import itertools
import json
import math
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resdet.cli import main
from resdet.data.formats.voc import image_name, image_names, read_voc
from resdet.errors import ConfigError, DataError
from resdet.evaluation import evaluate_voc, read_voc_results, write_voc_results

IMAGES = {1: "000005", 2: "my photo"}
CLASSES = {1: "cat", 2: "big/dog"}
ROWS = [
    {"image_id": 2, "category_id": 1, "bbox": [0, 0, 20, 10], "score": 0.5},
    {"image_id": 1, "category_id": 1, "bbox": [9.5, 4, 1, 2.25], "score": 1e-9},
]


def columns(rows: list[dict]) -> dict[str, np.ndarray]:
    """COCO results as the columns that are written."""
    table = {key: np.array([row[key] for row in rows]) for key in ("image_id", "category_id", "bbox", "score")}
    return table | {"bbox": table["bbox"].reshape(-1, 4)}


def test_a_file_by_hand(tmp_path: Path) -> None:
    paths = write_voc_results(tmp_path, "val", columns(ROWS), IMAGES, CLASSES)
    assert [path.name for path in paths] == ["comp4_det_val_cat.txt", "comp4_det_val_big%2Fdog.txt"]
    assert paths[0].read_text() == "my photo 0.5 1.0 1.0 20.0 10.0\n000005 1e-09 10.5 5.0 10.5 6.25\n"
    assert paths[1].read_text() == ""
    found = read_voc_results([tmp_path], "val", IMAGES, CLASSES)
    assert (found["image_id"], found["category_id"]) == ([2, 1], [1, 1])
    assert found["bbox"].tolist() == [row["bbox"] for row in ROWS]
    assert found["score"].tolist() == [0.5, 1e-9]


def test_the_names_of_classes_fit_every_system(tmp_path: Path) -> None:
    names = {1: "aux", 2: "a:b", 3: 'say "what?"', 4: "50%", 5: "%41", 6: "tab\t<|>*", 7: "Cat", 8: "cat"}
    rows = [{"image_id": 1, "category_id": key, "bbox": [0, 0, key, 1], "score": 0.5} for key in names]
    paths = write_voc_results(tmp_path, "val", columns(rows), IMAGES, names)
    assert [path.name for path in paths[:3]] == [f"comp4_det_val_{part}.txt" for part in ("aux", "a%3Ab", "say %22what%3F%22")]
    assert not any(set(path.name) & set(':*?"<>|\\/\t') for path in paths)
    found = read_voc_results([tmp_path], "val", IMAGES, names)
    assert sorted(zip(found["category_id"], (box[2] for box in found["bbox"].tolist()), strict=True)) == [(k, k) for k in names]
    paths[1].rename(tmp_path / "comp4_det_val_a:b.txt")  # as other tools call it
    assert read_voc_results([tmp_path], "val", IMAGES, names)["category_id"] == found["category_id"]


def test_classes_that_would_share_a_file_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # large and small letters are the same: the second file is the first
    monkeypatch.setattr(Path, "exists", lambda self: True)
    monkeypatch.setattr(Path, "samefile", lambda self, other: self.name.lower() == Path(other).name.lower())
    with pytest.raises(ConfigError, match=r"comp4_det_val_Cat\.txt: is comp4_det_val_cat\.txt here"):
        write_voc_results(tmp_path, "val", columns(ROWS), IMAGES, {1: "cat", 2: "dog", 3: "Cat"})


def test_blank_lines_and_space_around_lines_are_nothing(tmp_path: Path) -> None:
    paths = write_voc_results(tmp_path, "val", columns(ROWS), IMAGES, CLASSES)
    lines = paths[0].read_text().splitlines()
    paths[0].write_text("\n" + "\n \n".join(f"  {line} " for line in lines) + "\n")
    assert read_voc_results([tmp_path], "val", IMAGES, CLASSES)["image_id"] == [2, 1]


def test_a_file_that_begins_with_a_byte_order_mark(tmp_path: Path) -> None:
    paths = write_voc_results(tmp_path, "val", columns(ROWS), IMAGES, CLASSES)
    paths[0].write_bytes(b"\xef\xbb\xbf" + paths[0].read_bytes())
    assert read_voc_results([tmp_path], "val", IMAGES, CLASSES)["image_id"] == [2, 1]


number = st.floats(-1e4, 1e4, width=32)


@settings(max_examples=40)
@given(st.lists(st.tuples(st.sampled_from([1, 2]), st.sampled_from([1, 2]), number, number, number, number, st.floats(0, 1))))
def test_there_and_back(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple]) -> None:
    folder = tmp_path_factory.mktemp("results")
    results = [
        {"image_id": image, "category_id": key, "bbox": [x, y, abs(w), abs(h)], "score": score}
        for image, key, x, y, w, h, score in rows
    ]
    files = write_voc_results(folder, "a_b", columns(results), IMAGES, CLASSES)
    found = read_voc_results(files, "a_b", IMAGES, CLASSES)
    order = sorted(range(len(rows)), key=lambda row: rows[row][1])  # by class, else as they came
    assert found["image_id"] == [results[row]["image_id"] for row in order]
    assert found["score"].tolist() == [results[row]["score"] for row in order]
    expected = np.array([results[row]["bbox"] for row in order]).reshape(-1, 4)
    assert np.allclose(found["bbox"], expected, rtol=0, atol=1e-11)


BAD_LINES = {
    "000005 0.5 1 1 5": "must be 'image score xmin ymin xmax ymax'",
    "000005 0.5 1 1 5 x": "must be 'image score xmin ymin xmax ymax'",
    "000005 nan 1 1 5 5": "must be 'image score xmin ymin xmax ymax'",
    "000005 0.5 1 inf 5 5": "must be 'image score xmin ymin xmax ymax'",
    "000005 0.5 9 1 5 5": "xmax >= xmin - 1",
    "000005 0.5 1 9 5 5": "ymax >= ymin - 1",
    "5 0.5 1 1 5 5": "image '5' is not in the image set 'val'",
}


@pytest.mark.parametrize("line", BAD_LINES)
def test_bad_lines(tmp_path: Path, line: str) -> None:
    cat, _ = write_voc_results(tmp_path, "val", columns(ROWS), IMAGES, CLASSES)
    cat.write_text(f"000005 0.5 1 1 5 5\n{line}\n")
    with pytest.raises(DataError) as caught:
        read_voc_results([tmp_path], "val", IMAGES, CLASSES)
    (problem,) = caught.value.problems
    assert problem.startswith(f"{cat}: line 2: ")
    assert BAD_LINES[line] in problem
    assert "image '5'" in problem or problem.endswith(f"got {line!r}")


def test_files_that_are_missing_or_too_many(tmp_path: Path) -> None:
    cat, dog = write_voc_results(tmp_path, "val", columns(ROWS), IMAGES, CLASSES)

    def told(*paths: Path, split: str = "val") -> str:
        with pytest.raises(ConfigError) as caught:
            read_voc_results(paths, split, IMAGES, CLASSES)
        return str(caught.value)

    assert told(cat) == f"{cat}: no results file *_det_val_big%2Fdog.txt (known: cat)"
    assert told(tmp_path, split="test") == f"{tmp_path}: holds no results file *_det_test_<class>.txt"
    assert told(cat, dog, tmp_path / "x.txt") == f"{tmp_path}/x.txt: a VOC results file must be called *_det_val_<class>.txt"
    other = tmp_path / "comp3_det_val_cat.txt"
    assert "cannot be read: No such file" in told(other, dog)
    other.touch()
    assert told(tmp_path) == f"{cat}: is of the same class as {other}"
    other.rename(tmp_path / "comp4_det_val_cow.txt")
    with pytest.warns(UserWarning, match=r"val_cow\.txt: the ground truth has no such class: left out"):
        read_voc_results([tmp_path], "val", IMAGES, CLASSES)
    dog.write_bytes(b"\xff")
    assert "is not text" in told(cat, dog)


def kit(root: Path, split: str, file: Path, name: str) -> float:
    """VOC2010's AP of one class, from xml and results file as the kit reads them: pixels from 1, one line at a time."""
    truth, positives = {}, 0
    for key in (root / "ImageSets" / "Main" / f"{split}.txt").read_text().split():
        objects = []
        for item in ET.parse(root / "Annotations" / f"{key}.xml").getroot().findall("object"):
            if item.findtext("name") == name:
                hard = item.findtext("difficult") == "1"
                corners = [float(item.findtext(f"bndbox/{tag}")) for tag in ("xmin", "ymin", "xmax", "ymax")]
                objects.append([corners, hard, False])
                positives += not hard
        truth[key] = objects
    lines = [line.split() for line in file.read_text().splitlines()]
    lines.sort(key=lambda line: -float(line[1]))
    points, right, wrong = [(0.0, 0.0)], 0, 0
    for key, _, *corners in lines:
        a = list(map(float, corners))
        best, largest = None, -math.inf
        for item in truth[key]:
            b = item[0]
            w, h = min(a[2], b[2]) - max(a[0], b[0]) + 1, min(a[3], b[3]) - max(a[1], b[1]) + 1
            if w > 0 and h > 0:
                area = [(c[2] - c[0] + 1) * (c[3] - c[1] + 1) for c in (a, b)]
                if w * h / (sum(area) - w * h) > largest:
                    best, largest = item, w * h / (sum(area) - w * h)
        if largest < 0.5:
            wrong += 1
        elif not best[1]:
            right, wrong = right + (not best[2]), wrong + best[2]
            best[2] = True
        if right + wrong:
            points.append((right / positives, right / (right + wrong)))
    total = 0.0
    for (r0, _), (r1, _) in itertools.pairwise(points):
        total += (r1 - r0) * max((p for r, p in points if r >= r1), default=0)
    return total


def test_real_files_score_as_the_kit_scores_them(shared_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = shared_data / "voc2012_mini" / "VOC2012"
    dataset = read_voc(root, "val")
    rng = np.random.default_rng(0)
    rows = []
    for row in dataset.ground_truth()["annotations"]:
        for _ in range(rng.integers(0, 4)):
            box = np.array(row["bbox"]) + rng.normal(0, 0.12, 4) * np.tile(row["bbox"][2:], 2)
            rows.append({**row, "bbox": [*box[:2], *np.abs(box[2:])], "score": float(np.float32(rng.random()))})
    images = image_names(dataset)
    classes = dict(zip(dataset.category_ids, dataset.names, strict=True))
    files = write_voc_results(tmp_path / "comp4", "val", columns(rows), images, classes)
    in_memory = evaluate_voc(dataset.ground_truth(), rows, "voc10").per_class
    given = ["eval", "--ground-truth", str(root), "--split", "val", "--metric", "voc10", "--detections"]
    for detections, output in (([tmp_path / "comp4"], tmp_path / "one"), (files, tmp_path / "two")):
        assert main([*given, *map(str, detections), "--output", str(output)]) == 0
        scored = json.loads((output / "metrics.json").read_text())["voc"]["per_class"]
        for name, file in zip(dataset.names, files, strict=True):
            expected = kit(root, "val", file, name)
            assert scored[name] == pytest.approx(expected, rel=0, abs=1e-12)
            assert in_memory[name] == pytest.approx(expected, rel=0, abs=1e-12)
    assert 0.2 < np.mean(list(scored.values())) < 0.95


def test_wrong_usage_of_the_command(shared_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = shared_data / "voc2012_mini" / "VOC2012"

    def told(*arguments: object) -> str:
        assert main(["eval", *map(str, arguments)]) == 2
        return capsys.readouterr().err

    lists = f"{root}/ImageSets/Main"
    assert (
        told("--ground-truth", root, "--detections", tmp_path)
        == f"error: --split must name a list of {lists}, got '' (known: val)\n"
    )
    assert "got 'vla' (did you mean 'val'?)" in told("--ground-truth", root, "--detections", tmp_path, "--split", "vla")
    assert "holds no results file" in told("--ground-truth", root, "--detections", tmp_path, "--split", "val")
    file = tmp_path / "truth.json"
    assert "go with a --ground-truth that is a VOC folder" in told("--ground-truth", file, "--detections", "a", "b")
    assert "--ground-truth and --detections go together" in told("--split", "val")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/x/JPEGImages/2007_1.jpg", "2007_1"),
        ("/x/JPEGImages/sub/a.b.png", "sub/a.b"),
        ("/JPEGImages/y/JPEGImages/1.jpg", "1"),
        ("/x/y/1.jpg", "1"),
        ("/x/y/JPEGImages.jpg", "JPEGImages"),
    ],
)
def test_names_of_images(path: str, name: str) -> None:
    assert image_name(Path(path)) == name
