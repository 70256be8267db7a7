"""Scoring files: every way in which they can be wrong, said well and at once."""

from __future__ import annotations

import copy
import json
import warnings

import numpy as np
import pytest

from resdet.errors import ConfigError, DataError
from resdet.evaluation import evaluate_coco, read_detections, read_ground_truth, score_detections, score_files

TRUTH = {
    "images": [{"id": 139, "width": 640, "height": 480}, {"id": 285, "width": 640, "height": 480}],
    "categories": [{"id": 1, "name": "person"}, {"id": 18, "name": "dog"}],
    "annotations": [
        {"id": 11, "image_id": 139, "category_id": 1, "bbox": [10, 20, 100, 50], "area": 5000, "iscrowd": 0},
        {"id": 12, "image_id": 285, "category_id": 18, "bbox": [30, 40, 50, 60.5], "area": 3025, "iscrowd": 0},
    ],
}
RESULT = {"image_id": 139, "category_id": 1, "bbox": [10, 20, 100, 50], "score": 0.5}


@pytest.fixture
def truth_file(tmp_path):
    path = tmp_path / "truth.json"
    path.write_text(json.dumps(TRUTH))
    return path


def written(tmp_path, content, name="results.json"):
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def problems_of(call, *arguments):
    with pytest.raises(DataError) as error:
        call(*arguments)
    assert error.value.exit_status == 3
    return error.value.problems


@pytest.mark.parametrize("metric", ["coco", "voc07", "voc10"])
def test_a_perfect_results_file(tmp_path, truth_file, metric):
    results = [{key: row[key] for key in ("image_id", "category_id", "bbox")} | {"score": 1} for row in TRUTH["annotations"]]
    found = score_files(truth_file, written(tmp_path, results), metric)
    assert (found["bbox"]["AP"] if metric == "coco" else found["voc"]["mAP"]) == pytest.approx(1)
    assert list(found["meta"]) == [metric]
    json.dumps(found, allow_nan=False)


def test_backends_agree_and_the_path_form_is_the_same(tmp_path, truth_file):
    results = written(tmp_path, [RESULT, RESULT | {"bbox": [0, 0, 10, 10], "score": 0.9}])
    fast, slow = (score_files(truth_file, results, "coco", backend) for backend in ("hotcoco", "pycocotools"))
    assert (fast["bbox"], fast["per_class"]) == (slow["bbox"], slow["per_class"])
    assert evaluate_coco(truth_file, json.loads(results.read_text())).to_dict()["bbox"] == fast["bbox"]


def test_an_empty_results_file_scores_zero(tmp_path, truth_file):
    found = score_files(truth_file, written(tmp_path, []))
    assert (found["bbox"]["AP"], found["bbox"]["APs"]) == (0, None)


def test_columns_of_a_results_file(tmp_path, truth_file):
    truth = read_ground_truth(truth_file)
    found = read_detections(written(tmp_path, [RESULT | {"image_id": 285}, RESULT]), truth)
    assert (found.image.tolist(), found.category.tolist()) == ([1, 0], [0, 0])
    columns = found.to_results(truth)
    assert (columns["image_id"].tolist(), columns["category_id"].tolist()) == ([285, 139], [1, 1])
    assert columns["bbox"].dtype == np.float64
    assert columns["bbox"].tolist() == [[10, 20, 100, 50]] * 2
    assert columns["score"].tolist() == [0.5, 0.5]
    assert score_detections(truth, found) == score_detections(TRUTH, columns)


BOX_RULE = "'bbox' must be [x, y, width, height], finite numbers with width and height >= 0, got"
TWIN = " (a string; the ground truth has the number {})"
BAD_RESULTS = {
    "unknown category": (
        RESULT | {"category_id": 34},
        "result 0: 'category_id' must be a category of the ground truth (1 person, 18 dog), got 34",
    ),
    "unknown image": (RESULT | {"image_id": 7}, "result 0: 'image_id' must be one of the ground truth's 2 image ids, got 7"),
    "image id as a string": (
        RESULT | {"image_id": "000000000139"},
        "result 0: 'image_id' must be one of the ground truth's 2 image ids, got '000000000139'" + TWIN.format(139),
    ),
    "category id as a string": (
        RESULT | {"category_id": "18"},
        "result 0: 'category_id' must be a category of the ground truth (1 person, 18 dog), got '18'" + TWIN.format(18),
    ),
    "category by name": (
        RESULT | {"category_id": "dog"},
        "result 0: 'category_id' must be a category of the ground truth (1 person, 18 dog), got 'dog'",
    ),
    "list as an id": (
        RESULT | {"image_id": [139]},
        "result 0: 'image_id' must be one of the ground truth's 2 image ids, got [139]",
    ),
    "NaN in a box": (RESULT | {"bbox": [1, float("nan"), 3, 4]}, f"result 0: {BOX_RULE} [1, nan, 3, 4]"),
    "infinite box": (RESULT | {"bbox": [1, 2, float("inf"), 4]}, f"result 0: {BOX_RULE} [1, 2, inf, 4]"),
    "astronomic number": (RESULT | {"bbox": [1, 2, 10**400, 4]}, f"result 0: {BOX_RULE} [1, 2, 1000"),
    "negative width": (RESULT | {"bbox": [100, 2, -3, 4]}, f"result 0: {BOX_RULE} [100, 2, -3, 4]"),
    "three numbers": (RESULT | {"bbox": [1, 2, 3]}, f"result 0: {BOX_RULE} [1, 2, 3]"),
    "nested box": (RESULT | {"bbox": [[1, 2, 3, 4]]}, f"result 0: {BOX_RULE} [[1, 2, 3, 4]]"),
    "strings in a box": (RESULT | {"bbox": ["1", "2", "3", "4"]}, f"result 0: {BOX_RULE} ['1', '2', '3', '4']"),
    "no box": (RESULT | {"bbox": None}, f"result 0: {BOX_RULE} None"),
    "NaN score": (RESULT | {"score": float("nan")}, "result 0: 'score' must be a finite number, got nan"),
    "score as a string": (RESULT | {"score": "0.5"}, "result 0: 'score' must be a finite number, got '0.5'"),
    "no score": (RESULT | {"score": None}, "result 0: 'score' must be a finite number, got None"),
    "missing keys": (
        {"image_id": 139, "bbox": [1, 2, 3, 4]},
        "result 0: needs image_id, category_id, bbox, score; category_id, score missing",
    ),
    "not an object": ("139", "result 0: must be an object, got '139'"),
}


@pytest.mark.parametrize("case", BAD_RESULTS)
@pytest.mark.parametrize("among_good_ones", [False, True])
def test_a_bad_result(tmp_path, truth_file, case, among_good_ones):
    row, expected = BAD_RESULTS[case]
    path = written(tmp_path, [row, *([RESULT] * 3 if among_good_ones else [])])
    (problem,) = problems_of(score_files, truth_file, path)
    assert problem.startswith(f"{path}: {expected}")
    assert len(problem) < 400


def test_every_problem_at_once(tmp_path, truth_file):
    rows = [RESULT, *(row for row, _ in BAD_RESULTS.values()), RESULT | {"image_id": 8, "category_id": 35, "score": None}]
    problems = problems_of(score_files, truth_file, written(tmp_path, rows))
    # the image's and the category's faults of the last row are new, its score's is not
    assert len(problems) == len(BAD_RESULTS) + 2 == 21
    assert problems[-1].endswith("... and 1 problems more") or "got 35" in "\n".join(problems)
    assert "(and 1 more like it)" in "\n".join(problems)


def test_many_problems_are_counted(tmp_path, truth_file):
    rows = [RESULT | {"image_id": 1000 + number} for number in range(50)] + [RESULT | {"category_id": 0}] * 1000
    problems = problems_of(score_files, truth_file, written(tmp_path, rows))
    assert len(problems) == 21
    assert problems[20].endswith(": ... and 31 problems more")
    problems = problems_of(score_files, truth_file, written(tmp_path, [RESULT | {"category_id": 0}] * 1000))
    assert len(problems) == 1
    assert problems[0].endswith("got 0 (and 999 more like it)")


BAD_FILES = {
    "broken json": (
        '[{"image_id": 139,',
        "not JSON: Expecting property name enclosed in double quotes: line 1 column 19 (char 18)",
    ),
    "empty file": ("", "not JSON: Expecting value: line 1 column 1 (char 0)"),
    "too deep": ("[" * 100_000, "not JSON: "),
    "an object without columns": ({"a": 1}, "detections: needs the columns image_id, category_id, bbox, score; image_id, "),
    "a ground truth": (TRUTH, "a results file holds a list of results, not a ground truth"),
    "a number": (5, "detections: must be a list of results, got 5"),
    "a string": ('"results"', "detections: must be a list of results, got 'results'"),
    "null": ("null", "detections: must be a list of results, got None"),
    "columns of several lengths": (
        {"image_id": [139], "category_id": [1], "bbox": [[1, 2, 3, 4]], "score": []},
        "detections: the columns must be of one length, got {'image_id': 1, 'category_id': 1, 'bbox': 1, 'score': 0}",
    ),
    "a column that is none": (
        {"image_id": 139, "category_id": [1], "bbox": [[1, 2, 3, 4]], "score": [1]},
        "detections: column 'image_id' must be a list, got 139",
    ),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_bad_results_file(tmp_path, truth_file, case):
    content, expected = BAD_FILES[case]
    path = written(tmp_path, content)
    (problem,) = problems_of(score_files, truth_file, path)
    assert problem.startswith(f"{path}: ")
    assert expected in problem


def test_not_text(tmp_path, truth_file):
    path = tmp_path / "results.json"
    path.write_bytes(b"\x89PNG\xff\xfe\x00\x01")
    (problem,) = problems_of(score_files, truth_file, path)
    assert problem.startswith(f"{path}: not JSON: ")


def test_files_that_cannot_be_read(tmp_path, truth_file):
    for call in ((tmp_path / "none.json", truth_file), (truth_file, tmp_path / "none.json"), (tmp_path, truth_file)):
        with pytest.raises(ConfigError, match=r"cannot be read: (No such file or directory|Is a directory)") as error:
            score_files(*call)
        assert error.value.exit_status == 2
    with pytest.raises(ConfigError, match="metric 'voc'"):
        score_files("not even looked at", "this neither", "voc")


def changed(section, index, **fields):
    """The ground truth with some fields of one row replaced; None removes a field."""
    values = copy.deepcopy(TRUTH)
    row = values[section][index]
    row.update(fields)
    for key, value in fields.items():
        if value is None:
            del row[key]
    return values


BAD_TRUTHS = {
    "negative height": (changed("annotations", 1, bbox=[1, 2, 3, -4]), f"annotation id 12: {BOX_RULE} [1, 2, 3, -4]"),
    "NaN": (changed("annotations", 0, bbox=[float("nan"), 2, 3, 4]), f"annotation id 11: {BOX_RULE} [nan, 2, 3, 4]"),
    "no box": (changed("annotations", 0, bbox=None), f"annotation id 11: {BOX_RULE} none (the key is missing)"),
    "unknown image": (
        changed("annotations", 0, image_id=140),
        "annotation id 11: image_id 140 is not among the file's images",
    ),
    "no image": (
        changed("annotations", 0, image_id=None),
        "annotation id 11: 'image_id' must be an integer or a string, got none (the key is missing)",
    ),
    "unknown category": (
        changed("annotations", 0, category_id=2),
        "annotation id 11: category_id 2 is not among the file's categories",
    ),
    "negative area": (changed("annotations", 0, area=-1), "annotation id 11: 'area' must be a finite number >= 0, got -1"),
    "odd crowd": (changed("annotations", 0, iscrowd=2), "annotation id 11: 'iscrowd' must be 0 or 1, got 2"),
    "odd difficult": (changed("annotations", 0, difficult="yes"), "annotation id 11: 'difficult' must be 0 or 1, got 'yes'"),
    "annotation without id": (
        changed("annotations", 0, id=None),
        "annotation at position 0: 'id' must be an integer or a string, got none (the key is missing)",
    ),
    "annotation id twice": (changed("annotations", 1, id=11), "annotation id 11: id 11 is used twice"),
    "category id twice": (changed("categories", 1, id=1), "category id 1: id 1 is used twice"),
    "image id twice": (changed("images", 1, id=139), "image id 139: id 139 is used twice"),
    "category id as a string": (
        changed("categories", 1, id="18"),
        "category id '18': 'id' must be an integer, got '18'",
    ),
    "image ids of both kinds": (changed("images", 1, id="285"), "images: 'id' must be numbers or strings throughout, got both"),
    "a size as a string": (changed("images", 1, width="640"), "image id 285: 'width' must be a number above 0, got '640'"),
    "no sections": ({}, "ground truth: 'images' must be a list, it is missing"),
    "a list": ([RESULT], "ground truth: must be an object with images, annotations and categories, got [{"),
    "odd rows": ({**TRUTH, "images": [7, *TRUTH["images"]]}, "image at position 0: must be an object, got 7"),
}


@pytest.mark.parametrize("case", BAD_TRUTHS)
def test_a_bad_ground_truth(tmp_path, case):
    content, expected = BAD_TRUTHS[case]
    path = written(tmp_path, content, "truth.json")
    problems = problems_of(score_files, path, written(tmp_path, [RESULT]))
    assert all(problem.startswith(f"{path}: ") for problem in problems)
    assert problems[0].startswith(f"{path}: {expected}")


def test_every_problem_of_a_ground_truth_at_once(tmp_path):
    values = changed("annotations", 0, bbox=[1, 2], area="x", category_id=5)
    values["categories"].append({"id": 18, "name": "hound"})
    problems = problems_of(read_ground_truth, written(tmp_path, values))
    assert len(problems) == 4


@pytest.mark.parametrize(
    ("box", "message"),
    [([500, 400, 600, 470], "are these \\[x1, y1, x2, y2\\]"), ([0.1, 0.2, 0.3, 0.4], "are these fractions")],
)
def test_boxes_of_another_convention_are_warned_of(tmp_path, truth_file, box, message):
    path = written(tmp_path, [RESULT | {"bbox": box}] * 3)
    with pytest.warns(UserWarning, match=message):
        score_files(truth_file, path)


def test_good_boxes_are_not_warned_of(tmp_path, truth_file):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        score_files(truth_file, written(tmp_path, [RESULT] * 3 + [RESULT | {"bbox": [600, 400, 600, 470]}]))


def test_real_files(tmp_path, shared_data):
    path = shared_data / "coco_mini" / "annotations" / "instances_val2017.json"
    rng = np.random.default_rng(0)
    rows = [
        {
            "image_id": row["image_id"],
            "category_id": row["category_id"],
            "bbox": [*row["bbox"][:2], *(np.array(row["bbox"][2:]) * rng.uniform(0.7, 1, 2)).tolist()],
            "score": float(rng.random()),
        }
        for row in json.loads(path.read_text())["annotations"]
    ]
    results = written(tmp_path, rows)
    fast, slow = (score_files(path, results, "coco", backend) for backend in ("hotcoco", "pycocotools"))
    assert (fast["bbox"], fast["per_class"]) == (slow["bbox"], slow["per_class"])
    assert 0.2 < fast["bbox"]["AP"] < 0.9
    assert 0.8 < score_files(path, results, "voc10")["voc"]["mAP"] <= 1
