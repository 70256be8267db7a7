"""Data sets that are missing or broken, and images that fail while training runs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from error_lab import Lab, broken_image, damaged, other_size, then, truncated, validation_source, validation_with, voc, written
from error_rows import Row, check, no_run_folder, row

ROOT = Path(__file__).resolve().parents[2]

DATA = [
    row(
        "missing folder",
        lambda lab: lab.train_det("data.train[0].root=/no/where"),
        2,
        r"option 'data\.train(\[0\])?\.root' must name a folder, got '/no/where'",
        after=no_run_folder,
    ),
    row(
        "missing annotation file",
        lambda lab: lab.train_det("data.train[0].annotations=none.json"),
        2,
        r"option 'data\.train(\[0\])?\.annotations' must name a file, got 'none\.json'",
    ),
    row("no training set", lambda lab: lab.train_det("data.train=[]"), 2, r"option 'data\.train' must name at least one"),
    row(
        "missing validation folder",
        lambda lab: lab.train_det("data.val.root=/no/where"),
        2,
        r"option 'data\.val\.root' must name a folder, got '/no/where'",
        after=no_run_folder,
    ),
    row(
        "missing crops",
        lambda lab: lab.train_cls("data.train.root=/no/where"),
        2,
        r"option 'data\.train\.root' must name a folder",
    ),
    row(
        "missing VOC list",
        lambda lab: lab.train_det(data__train=[{"format": "voc", "root": str(voc(lab)), "split": "trian"}]),
        2,
        r"option 'data\.train(\[0\])?\.split' must name a list of .*Main, got 'trian' \(did you mean 'train'\?\)",
    ),
    row(
        "broken JSON",
        lambda lab: then(written(lab.coco.annotations, b'{"images": ['), lab.train_det()),
        3,
        r"instances\.json: is not JSON: .*line 1 column 13",
        after=no_run_folder,
    ),
    row(
        "JSON of something else",
        lambda lab: then(lab.coco.write([1, 2]), lab.train_det()),
        3,
        r"instances\.json: must be an object with images, annotations, categories, got list",
    ),
    row(
        "broken XML",
        lambda lab: lab.train_det(
            data__train=[{"format": "voc", "root": str(voc(lab, xml="<annotation><size>")), "split": "train"}]
        ),
        3,
        r"Annotations/a\.xml: is not XML that can be read: .*line 1",
    ),
    row(
        "XML with an entity bomb",
        lambda lab: lab.train_det(
            data__train=[
                {
                    "format": "voc",
                    "root": str(voc(lab, xml='<!DOCTYPE a [<!ENTITY b "ha">]><annotation>&b;</annotation>')),
                    "split": "train",
                }
            ]
        ),
        3,
        r"Annotations/a\.xml: is not XML that can be read: .*[Ee]ntit",
    ),
    row(
        "image missing",
        lambda lab: then((lab.coco.images / "000003.png").unlink(), lab.train_det()),
        3,
        r"instances\.json: image id 3: no such image file: .*000003\.png",
        after=no_run_folder,
    ),
    row(
        "image name that leaves its folder",
        lambda lab: lab.coco_with(lambda content: content["images"][1].update(file_name="../instances.json")),
        3,
        r"image id 2: file name must be relative and stay in the images' folder, got '\.\./instances\.json'",
    ),
    row(
        "negative width",
        lambda lab: lab.coco_with(lambda content: content["annotations"][2].update(bbox=[20, 5, -8, 9])),
        3,
        r"instances\.json: annotation id 3: box must have a positive width and height, got \[20, 5, -8, 9\]",
    ),
    row(
        "NaN in a box",
        lambda lab: lab.coco_with(lambda content: content["annotations"][0].update(bbox=[float("nan"), 5, 8, 9])),
        3,
        r"annotation id 1: box must be finite, got \[nan, 5, 8, 9\]",
    ),
    row(
        "box outside, and another of a negative height: both told",
        lambda lab: lab.coco_with(
            lambda content: [
                content["annotations"][0].update(bbox=[500, 5, 8, 9]),
                content["annotations"][1].update(bbox=[5, 5, 8, -9]),
            ]
        ),
        3,
        r"annotation id 2: box must have a positive width and height",
        r"annotation id 1: box lies wholly outside its image of 64 x 48 pixels",
    ),
    row(
        "unknown category id",
        lambda lab: lab.coco_with(lambda content: content["annotations"][0].update(category_id=99)),
        3,
        r"annotation id 1: category_id 99 is not among the file's categories",
    ),
    row(
        "validation class that training lacks",
        lambda lab: then(validation_with(lab, name="dysk"), lab.train_det(data__val=validation_source(lab))),
        3,
        r"validation\.json: class 'dysk' is not among the classes asked for \(did you mean 'disk'\?\)",
        r"only in the file: dysk; only asked for: disk",
        after=no_run_folder,
    ),
    row(
        "names that the file does not have",
        lambda lab: lab.train_det(data__names=["box", "disc"]),
        3,
        r"instances\.json: class 'disk' is not among the classes asked for \(did you mean 'disc'\?\)",
        r"only in the file: disk; only asked for: disc",
    ),
    row(
        "no object to train on",
        lambda lab: lab.coco_with(lambda content: content.update(annotations=[])),
        3,
        r"instances\.json: no image with a usable object to train on",
    ),
    row(
        "empty class folder",
        lambda lab: then((lab.crops / "green").mkdir(), lab.train_cls()),
        3,
        r"crops/green: holds no image",
    ),
    row(
        "crops smaller than the crop",
        lambda lab: lab.train_cls("data.short_side=[]", "data.crop=64"),
        3,
        r"crops/.*\.png: .*crop of 64",
    ),
]


IMAGES = [
    row("truncated, in a worker", lambda lab: broken_image(lab, truncated, 2), 3, r"000002\.png: cannot be read as an image: "),
    row(
        "truncated, without workers",
        lambda lab: broken_image(lab, truncated, 0),
        3,
        r"000002\.png: cannot be read as an image: ",
    ),
    row(
        "text",
        lambda lab: broken_image(lab, lambda path: b"hello", 2),
        3,
        r"000002\.png: cannot be read.*cannot identify image",
    ),
    row(
        "empty",
        lambda lab: broken_image(lab, lambda path: b"", 0),
        3,
        r"000002\.png: cannot be read as an image: the file is empty",
    ),
    row(
        "of another size",
        lambda lab: broken_image(lab, other_size, 0),
        3,
        r"000002\.png: is 7 x 9 pixels, its annotation says 48 x 64",
    ),
    row(
        "truncated, in a worker of train-cls",
        lambda lab: then(damaged(lab.crops / "red" / "1.png", truncated), lab.train_cls("data.workers=2")),
        3,
        r"crops/red/1\.png: cannot be read as an image: ",
    ),
    row(
        "in validation",
        lambda lab: then(
            validation_with(lab, name="disk"),
            damaged(lab.folder / "validation" / "v.png", lambda path: b"hello"),
            lab.train_det(data__val=validation_source(lab), schedule__iterations=1),
        ),
        3,
        r"validation/v\.png: cannot be read as an image",
        after=lambda lab: (lab.output / "state.pt").exists(),
    ),
]


@pytest.mark.parametrize("mistake", DATA + IMAGES, ids=lambda mistake: mistake.name)
def test_broken_data(mistake: Row, lab: Lab, capfd: pytest.CaptureFixture[str]) -> None:
    check(mistake, lab, capfd)


@pytest.mark.slow
def test_a_program_says_the_same(lab: Lab) -> None:
    """Through a real process: the status reaches the shell, results and errors go to their streams."""
    command = [*broken_image(lab, truncated, 2)]
    done = subprocess.run(
        [sys.executable, "-m", "resdet", *command], cwd=ROOT, capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 3, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    *_, last = done.stderr.splitlines()  # before it stands what the run was about to do
    assert re.match(r"error: .*000002\.png: cannot be read as an image: ", last)
    assert done.stderr.count("error: ") == 1, done.stderr
