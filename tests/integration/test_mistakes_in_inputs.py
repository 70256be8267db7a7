"""Results files to score and pictures to predict on that are wrong."""

from __future__ import annotations

import json

import pytest
from error_lab import Lab, then, written
from error_rows import Row, check, row

TRUTH = {
    "images": [{"id": 1, "width": 60, "height": 40}],
    "annotations": [{"id": 1, "image_id": 1, "category_id": 3, "bbox": [5, 5, 20, 20], "area": 400, "iscrowd": 0}],
    "categories": [{"id": 3, "name": "cat"}],
}
FOUND = {"image_id": 1, "category_id": 3, "bbox": [5, 5, 20, 20], "score": 0.5}


SCORING = [
    row("broken results", lambda lab: lab.score(TRUTH, "[{"), 3, r"detections\.json: not JSON: .*line 1"),
    row("broken ground truth", lambda lab: lab.score("{", []), 3, r"ground_truth\.json: not JSON: .*line 1"),
    row("missing results", lambda lab: [*lab.score(TRUTH, [])[:-1], "gone.json"], 2, r"gone\.json: .*[Nn]o such file"),
    row("ground truth for results", lambda lab: lab.score(TRUTH, TRUTH), 3, r"detections\.json: .*a results file holds a list"),
    row(
        "unknown image, category, and a missing score",
        lambda lab: lab.score(TRUTH, [{**FOUND, "image_id": 2}, {**FOUND, "category_id": 1}, {"image_id": 1}]),
        3,
        r"detections\.json: result 2: needs .* missing",
        r"detections\.json: result 0: 'image_id' must be one of .*got 2",
        r"detections\.json: result 1: 'category_id' must be a category of the ground truth \(3 cat\), got 1",
    ),
    row(
        "NaN score", lambda lab: lab.score(TRUTH, [{**FOUND, "score": float("nan")}]), 3, r"result 0: 'score' must be a finite"
    ),
    row("negative width", lambda lab: lab.score(TRUTH, [{**FOUND, "bbox": [5, 5, -1, 3]}]), 3, r"detections\.json: result 0: "),
    row(
        "ground truth without categories",
        lambda lab: lab.score({**TRUTH, "categories": []}, [FOUND]),
        3,
        r"ground_truth\.json: ",
    ),
]


PREDICTION = [
    row(
        "no such picture",
        lambda lab: lab.predict("gone.jpg", "no*thing"),
        2,
        r"gone\.jpg: no such file",
        r"no\*thing: no such file",
    ),
    row("no path", lambda lab: lab.predict(), 2, r"predict needs at least one PATH: an image"),
    row(
        "a folder without pictures",
        lambda lab: then((lab.crops / "empty").mkdir(), lab.predict(lab.crops / "empty")),
        2,
        r"empty: holds no image or video",
    ),
    row(
        "text among the pictures",
        lambda lab: then(written(lab.crops / "red" / "bad.jpg", b"hello"), lab.predict(lab.crops / "red")),
        3,
        r"red/bad\.jpg: cannot be read as an image",
        after=lambda lab: (
            {path.name for path in lab.output.iterdir()} == {"0.png", "1.png", "2.png", "predictions.json"}
            and len(json.loads((lab.output / "predictions.json").read_text())) == 3
        ),
    ),
    row(
        "an output that would overwrite the pictures",
        lambda lab: lab.predict(lab.crops / "red" / "1.png", "--output", lab.crops / "red"),
        2,
        r"--output .*crops/red: would overwrite the input 1\.png",
    ),
    row(
        "a video that is none",
        lambda lab: lab.predict(written(lab.folder / "clip.mp4", b"hello"), lab.crops / "red" / "0.png"),
        3,
        r"clip\.mp4: no frame of this video can be read",
        after=lambda lab: (lab.output / "0.png").exists() and not (lab.output / "clip.mp4").exists(),
    ),
    row(
        "a video for a classifier",
        lambda lab: lab.predict(
            written(lab.folder / "clip.mp4", b"hello"), lab.crops / "red", weights=lab.classifier / "model.safetensors"
        ),
        3,
        r"clip\.mp4: ",
    ),
    row(
        "threshold out of range",
        lambda lab: lab.predict("--score-thresh", "1.5", lab.crops),
        2,
        r"--score-thresh must be in \[0, 1\], got 1\.5",
    ),
    row(
        "threshold NaN",
        lambda lab: lab.predict("--score-thresh", "nan", lab.crops),
        2,
        r"--score-thresh must be in \[0, 1\], got nan",
    ),
]


@pytest.mark.parametrize("mistake", SCORING + PREDICTION, ids=lambda mistake: mistake.name)
def test_wrong_inputs(mistake: Row, lab: Lab, capfd: pytest.CaptureFixture[str]) -> None:
    check(mistake, lab, capfd)
