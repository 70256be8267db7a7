"""The evaluation of localizers: what is asked of them, what is written, and that it scores the same when read again."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from resdet.cli import main
from resdet.config import config_to_dict
from resdet.config.localization_data import LocalizationClassesConfig, LocalizationDataConfig, LocalizationSourceConfig
from resdet.config.schema import BackboneConfig, ClassifierConfig
from resdet.errors import ConfigError, DataError
from resdet.models.build import build_classifier
from resdet.models.model_file import ModelCard, write_model
from resdet.report.tables import metrics_table
from resdet.training.localization.evaluation import LocalizationEvaluation, evaluate_localizer, score_submission

NAMES = ("n01", "n02", "n03")


class Centre:
    """Says the same box for every class, label pixels to the right; keeps what it was asked."""

    names = NAMES

    def __init__(self) -> None:
        self.asked: list[tuple[tuple[int, int], list[int]]] = []

    def localize(self, image: Image.Image, classes: Sequence[int]) -> tuple[Tensor, Tensor]:
        self.asked.append((image.size, list(classes)))
        boxes = torch.tensor([[8.0 + label, 8.0, 24.0 + label, 24.0] for label in classes])
        return boxes, torch.tensor([float(label) for label in classes])


@pytest.fixture
def data(tmp_path: Path) -> LocalizationDataConfig:
    """Tiny-ImageNet's layout: val_0 … val_3 of n01, n02, n03, n02, whose box fits label 1 in all of them."""
    (tmp_path / "val" / "images").mkdir(parents=True)
    (tmp_path / "wnids.txt").write_text("\n".join(NAMES))
    rows = []
    for number, name in enumerate(("n01", "n02", "n03", "n02")):
        pixels = np.random.default_rng(number).integers(0, 255, (40, 48, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "val" / "images" / f"val_{number}.png")
        rows.append(f"val_{number}.png\t{name}\t{9 if number != 3 else 30}\t8\t{24 if number != 3 else 40}\t23\n")
    (tmp_path / "val" / "val_annotations.txt").write_text("".join(rows))
    return LocalizationDataConfig(val=LocalizationSourceConfig("tiny_imagenet", str(tmp_path), "val"), workers=0)


def classifier_file(path: Path, bias: Sequence[float], names: Sequence[str] = NAMES) -> str:
    """A network that says the classes in the order of ``bias``, whatever it sees."""
    config = ClassifierConfig(backbone=BackboneConfig(name="resnet18", width=4))
    model = build_classifier(config, names)
    torch.nn.init.zeros_(model.backbone.fc.weight)
    model.backbone.fc.bias.data = torch.tensor(bias)
    card = ModelCard("classification", config_to_dict(config), list(names), model.pixels.to_dict(), {})
    write_model(path, model.state_dict(), card)
    return str(path)


CLASSES = LocalizationClassesConfig(short_side=32, crop=32)


def test_without_a_classifier_the_own_class_is_asked_for(data: LocalizationDataConfig) -> None:
    evaluation, localizer = LocalizationEvaluation(data), Centre()
    metrics = evaluation.run(localizer)
    assert localizer.asked == [((48, 40), [0]), ((48, 40), [1]), ((48, 40), [2]), ((48, 40), [1])]
    assert metrics["gt_class_loc_error"] == 0.25
    overlaps = [15 / 17, 1, 15 / 17, 0]
    assert metrics["mean_iou"] == pytest.approx(sum(overlaps) / 4)
    assert metrics["top5_loc_error"] is metrics["top1_error"] is None


def test_classes_of_a_classifier(data: LocalizationDataConfig, tmp_path: Path) -> None:
    localizer, out = Centre(), tmp_path / "out"
    file = classifier_file(tmp_path / "c.safetensors", [0.0, 1.0, 2.0])
    metrics = evaluate_localizer(data, CLASSES, localizer, [file], torch.device("cpu"), out).metrics
    assert metrics["meta"]["classifiers"] == [file]
    assert [classes for _, classes in localizer.asked] == [[2, 1, 0]] * 4
    assert metrics["top1_error"] == 0.75
    assert metrics["top5_error"] == 0
    assert metrics["top1_loc_error"] == 0.75
    assert metrics["top5_loc_error"] == metrics["gt_class_loc_error"] == 0.25
    assert metrics["errors"] == {
        "top1": {"wrong_class": 0.75, "wrong_box": 0},
        "top5": {"wrong_class": 0, "wrong_box": 0.25},
    }
    assert "GT-class localization error 25.00 %" in metrics_table(metrics)
    assert json.loads((out / "metrics.json").read_text())["top5_loc_error"] == 0.25
    with (out / "per_class.csv").open() as table:
        assert [(row["class"], row["gt_class_loc_error"]) for row in csv.DictReader(table)] == [
            ("n01", "0.0"),
            ("n02", "0.5"),
            ("n03", "0.0"),
        ]
    rows = json.loads((out / "predictions.json").read_text())
    assert rows[3]["file"] == "val/images/val_3.png"
    assert rows[3]["box"] == [9, 8, 25, 24]
    assert [guess["class"] for guess in rows[0]["guesses"]] == ["n03", "n02", "n01"]
    assert [guess["score"] for guess in rows[0]["guesses"]] == [2, 1, 0]
    expected = torch.tensor([2.0, 1.0, 0.0]).softmax(0).tolist()
    assert [guess["probability"] for guess in rows[0]["guesses"]] == pytest.approx(expected)
    assert Image.open(out / "report" / "localizations.png").width > 1000
    # the submission files score the same
    keys = ("top1_loc_error", "top5_loc_error", "top1_error", "top5_error", "errors")
    for name in ("submission.csv", "submission.txt"):
        scored = score_submission(data, out / name, tmp_path / "again").metrics
        assert {key: scored[key] for key in keys} == {key: metrics[key] for key in keys}
        assert scored["gt_class_loc_error"] is None
        assert (tmp_path / "again" / "submission.csv").read_text() == (out / "submission.csv").read_text()


def test_classifiers_are_averaged(data: LocalizationDataConfig, tmp_path: Path) -> None:
    evaluation = LocalizationEvaluation(data)
    files = [
        classifier_file(tmp_path / "a.safetensors", [9.0, 0.0, 0.0]),
        classifier_file(tmp_path / "b.safetensors", [0.0, 2.0, 0.0]),
    ]
    evaluation.classify(files, CLASSES, torch.device("cpu"))
    assert evaluation.predictions is not None
    expected = (torch.tensor([9.0, 0, 0]).softmax(0) + torch.tensor([0.0, 2, 0]).softmax(0)) / 2
    np.testing.assert_allclose(evaluation.predictions.probabilities, expected.expand(4, 3), rtol=1e-5)


def test_more_classes_than_guesses_and_an_own_class_that_is_not_among_them(tmp_path: Path) -> None:
    names = [f"n{number:02d}" for number in range(8)]
    (tmp_path / "val" / "images").mkdir(parents=True)
    (tmp_path / "wnids.txt").write_text("\n".join(names))
    Image.new("RGB", (40, 40)).save(tmp_path / "val" / "images" / "a.png")
    (tmp_path / "val" / "val_annotations.txt").write_text("a.png n07 15 8 30 23\n")
    data = LocalizationDataConfig(val=LocalizationSourceConfig("tiny_imagenet", str(tmp_path), "val"), workers=0)
    evaluation, localizer = LocalizationEvaluation(data), Centre()
    # of equal scores the lower label first
    file = classifier_file(tmp_path / "c.safetensors", [1.0, 1, 5, 1, 1, 1, 1, 0], names)
    evaluation.classify([file], CLASSES, torch.device("cpu"))
    metrics = evaluation.run(localizer)
    assert localizer.asked == [((40, 40), [2, 0, 1, 3, 4, 7])]
    assert metrics["gt_class_loc_error"] == 0
    assert metrics["top5_loc_error"] == metrics["top5_error"] == 1
    assert evaluation.found[0].guesses is not None
    assert evaluation.found[0].guesses.labels.tolist() == [2, 0, 1, 3, 4]
    assert evaluation.found[0].guesses.boxes[:, 0].tolist() == [10, 8, 9, 11, 12]


def test_images_without_a_class_get_guesses_only(data: LocalizationDataConfig, tmp_path: Path) -> None:
    (tmp_path / "val").rename(tmp_path / "test")
    test = replace(data, val=replace(data.val, split="test"))
    evaluation = LocalizationEvaluation(test)
    assert evaluation.run(Centre())["meta"]["unlabelled"] == 4
    evaluation.classify([classifier_file(tmp_path / "c.safetensors", [0.0, 1.0, 2.0])], CLASSES, torch.device("cpu"))
    metrics = evaluation.run(Centre())
    assert metrics["gt_class_loc_error"] is metrics["top5_error"] is metrics["top5_loc_error"] is None
    evaluation.write(tmp_path / "out")
    assert (tmp_path / "out" / "submission.txt").read_text() == "3 10 8 25 23 2 9 8 24 23 1 8 8 23 23\n" * 4
    assert not (tmp_path / "out" / "report").exists()


def test_the_numbers_of_classes(data: LocalizationDataConfig, tmp_path: Path) -> None:
    (tmp_path / "kit.txt").write_text("n03 c\nn09 x\nn01 a\nn02 b\n")
    assert LocalizationEvaluation(replace(data, class_ids=str(tmp_path / "kit.txt"))).class_ids == [3, 4, 1]
    assert LocalizationEvaluation(data).class_ids == [1, 2, 3]
    with pytest.raises(DataError, match=r"none.txt: cannot be read"):
        LocalizationEvaluation(replace(data, class_ids=str(tmp_path / "none.txt")))


def test_what_does_not_fit(data: LocalizationDataConfig, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="class 'n03' is not among the classes asked for"):
        LocalizationEvaluation(data, ["n01", "n02"])
    evaluation = LocalizationEvaluation(data)
    other = classifier_file(tmp_path / "c.safetensors", [0.0, 1.0, 2.0], ["n01", "x", "n03"])
    with pytest.raises(ConfigError, match=r"c.safetensors: class 1 is 'x', but 'n02' in the data"):
        evaluation.classify([other], CLASSES, torch.device("cpu"))
    with pytest.raises(ConfigError, match=r"submission.csv would be overwritten; choose another --output"):
        score_submission(data, tmp_path / "submission.csv", tmp_path)
    with pytest.raises(ConfigError, match="no such model file"):
        evaluation.classify([str(tmp_path / "none.pth")], CLASSES, torch.device("cpu"))


def test_data_check(data: LocalizationDataConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = {"format": "tiny_imagenet", "root": str(tmp_path), "split": "val"}
    run_file = tmp_path / "loc.yaml"
    run_file.write_text(json.dumps({"task": "localization", "data": {"train": source, "val": source}}))
    assert main(["data", "check", "--config", str(run_file)]) == 0
    line = "4 images (0 without a box), 4 boxes, 3 classes"
    assert capsys.readouterr().out.splitlines() == [f"data.train: {line}", f"data.val: {line}"]
    (tmp_path / "val" / "images" / "val_2.png").write_bytes(b"no image")
    assert main(["data", "check", "--config", str(run_file)]) == 3
    assert "val_2.png: cannot be read as an image" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.real
def test_imagenet_end_to_end(shared_data: Path, tmp_path: Path) -> None:
    """Classes of the ImageNet weights; boxes drawn by lot, so that all errors occur; the errors by brute force."""
    root = shared_data / "imagenet_val100"
    data = LocalizationDataConfig(val=LocalizationSourceConfig(root=str(root), split="val"), workers=0)
    evaluation = LocalizationEvaluation(data)
    classes = LocalizationClassesConfig()
    classes.model.backbone.name = "resnet18"
    evaluation.classify([str(shared_data / "weights" / "resnet18_imagenet_pq.fp16.pth")], classes, torch.device("cpu"))
    draw = np.random.default_rng(0)

    class Lot:
        names = evaluation.dataset.names

        def localize(self, image: Image.Image, classes: Sequence[int]) -> tuple[Tensor, Tensor]:
            low, high = draw.uniform(0, 0.4, (len(classes), 2)), draw.uniform(0.6, 1, (len(classes), 2))
            return torch.from_numpy(np.concatenate([low, high], 1) * [*image.size, *image.size]).float(), torch.ones(
                len(classes)
            )

    metrics = evaluation.run(Lot())
    assert metrics["top1_error"] == pytest.approx(0.28)
    assert metrics["top5_error"] == pytest.approx(0.11)
    evaluation.write(tmp_path)
    with (root / "LOC_val_solution.csv").open() as file:
        truth = {row["ImageId"]: row["PredictionString"].split() for row in csv.DictReader(file)}
    names = [line.split()[0] for line in (root / "LOC_synset_mapping.txt").read_text().splitlines()]
    with (tmp_path / "submission.csv").open() as file:
        said = {row["ImageId"]: row["PredictionString"].split() for row in csv.DictReader(file)}
    assert said.keys() == truth.keys()
    wrong = {1: 0, 5: 0}
    for key, words in said.items():
        guesses = [
            (names[int(words[first]) - 1], [int(word) for word in words[first + 1 : first + 5]]) for first in range(0, 25, 5)
        ]
        true = [
            (truth[key][first], [int(word) for word in truth[key][first + 1 : first + 5]])
            for first in range(0, len(truth[key]), 5)
        ]
        for count in wrong:
            wrong[count] += not any(
                name == other and pixels_iou(box, box_there) >= 0.5
                for name, box in guesses[:count]
                for other, box_there in true
            )
    scored = LocalizationEvaluation(data).score(tmp_path / "submission.csv")
    assert scored["top1_loc_error"] == pytest.approx(wrong[1] / 100)
    assert scored["top5_loc_error"] == pytest.approx(wrong[5] / 100)
    assert 0.11 < scored["top5_loc_error"] < scored["top1_loc_error"] < 1
    # rounding to whole pixels changes next to nothing
    assert metrics["top5_loc_error"] == pytest.approx(scored["top5_loc_error"], abs=0.01)


def pixels_iou(a: list[int], b: list[int]) -> float:
    """By counting the pixels of two boxes that include their last one."""
    shape = (max(a[3], b[3]) + 1, max(a[2], b[2]) + 1)
    masks = np.zeros((2, *shape), bool)
    for mask, (x1, y1, x2, y2) in zip(masks, (a, b), strict=True):
        mask[y1 : y2 + 1, x1 : x2 + 1] = True
    return (masks[0] & masks[1]).sum() / (masks[0] | masks[1]).sum()
