"""Every shipped run file loads, says what it must, and names the paper's numbers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from resdet.config import load_config
from resdet.config.schema import ClassificationRunConfig, DetectionRunConfig
from resdet.data.sources.classification import build_train_transform
from resdet.models.backbones.registry import backbone_spec
from resdet.training.schedule import scaled_rate

CONFIGS = sorted((Path(__file__).resolve().parents[1] / "configs").glob("*.yaml"))
NAMES = {"coco_r50", "coco_r101", "coco_r152", "voc07_r101", "demo_cls", "demo_det"}
NAMES |= {"coco_r101_improved", "coco_r101_4step", "voc0712_r101", "voc07_r101_4step", "voc07_r101_plus", "imagenet_det_r101"}
NAMES |= {f"imagenet_{name}" for name in ("r18", "r18_a", "r34", "r34_a", "r34_c", "r50", "r101", "r152", "plain18", "plain34")}
NAMES |= {f"cifar10_r{depth}" for depth in (20, 32, 44, 56, 110, 1202)}
NAMES |= {f"cifar10_plain{depth}" for depth in (20, 32, 44, 56, 110)}


def test_the_promised_run_files_are_there() -> None:
    assert {path.stem for path in CONFIGS} >= NAMES


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_it_loads_and_its_schedule_makes_sense(path: Path) -> None:
    config = load_config(path)
    schedule = config.schedule
    assert schedule.warmup_iterations < schedule.iterations
    assert all(milestone < schedule.iterations for milestone in schedule.milestones)
    assert config.run.checkpoint_every <= schedule.iterations
    assert config.output
    if isinstance(config, DetectionRunConfig):
        assert config.data.train
        assert all(source.root for source in config.data.train)
        # the objects of VOC12 test are not published
        assert config.data.val.root or path.stem == "voc0712_r101"
        assert config.model.backbone.weights or config.model.weights
    else:
        assert config.data.train.root
        assert config.data.val.root


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_its_learning_rate_is_for_its_own_batch(path: Path) -> None:
    config = load_config(path)
    assert scaled_rate(config.optimizer, config.run.batch) == config.optimizer.lr
    assert config.schedule.warmup_iterations >= 0
    if isinstance(config, DetectionRunConfig) and config.training == "alternating":
        assert config.optimizer.base_batch == 0, "its phases have batches of their own"


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_its_head_says_command_hardware_time_and_number(path: Path) -> None:
    head = [line for line in path.read_text().splitlines() if line.startswith("#")]
    for word in ("Command:", "Hardware:", "Time:", "To reach:"):
        assert any(line.startswith(f"# {word}") for line in head), f"{path.name}: no {word}"


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_its_head_says_which_weights_fit_the_stride_of_its_bottlenecks(path: Path) -> None:
    """Both kinds of published weights are named, and the option that takes the other kind; basic blocks have no such stride."""
    backbone = load_config(path).model.backbone
    text = "\n".join(line for line in path.read_text().splitlines() if line.startswith("#"))
    match = re.search(r"^# Weights:   (.*(?:\n#            .*)*)", text, re.MULTILINE)
    if backbone_spec(backbone.name).block != "bottleneck":
        assert match is None
        return
    assert match is not None
    said = re.sub(r"\s*\n#\s+", " ", match[1])
    here, there = ("1x1", "3x3") if backbone.stride_in_1x1 else ("3x3", "1x1")
    first, _, second = said.partition(f" in the {there}")
    assert first.startswith(f"stride in the {here}")
    authors, torchvision = (said.index(f"{who} ResNet-{backbone.name[6:]}") for who in ("MSRA/Caffe", "timm's"))
    assert (authors < torchvision) == backbone.stride_in_1x1
    assert f"model.backbone.stride_in_1x1={str(not backbone.stride_in_1x1).lower()}" in second
    assert "model.backbone.pixels=msra" in said


@pytest.mark.parametrize("path", [path for path in CONFIGS if path.stem.startswith("imagenet_")], ids=lambda path: path.stem)
def test_a_classifier_of_imagenet_says_which_mean_it_subtracts(path: Path) -> None:
    config = load_config(path)
    if isinstance(config, ClassificationRunConfig):
        assert "\n# Mean:      one colour" in path.read_text()
        assert not config.data.mean_image


def test_recipes_of_others() -> None:
    plateau, torchvision, epochs = map(load_config, ("imagenet_r50_plateau", "imagenet_r50_torchvision", "cifar10_r20_epochs"))
    assert isinstance(plateau, ClassificationRunConfig)
    assert isinstance(torchvision, ClassificationRunConfig)
    assert isinstance(epochs, ClassificationRunConfig)
    assert (plateau.schedule.policy, plateau.schedule.patience, plateau.schedule.iterations) == ("plateau", 5, 600_600)
    assert plateau.run.eval_every == 5005  # once an epoch, which patience counts
    assert (torchvision.data.crop_from, torchvision.data.lighting, torchvision.schedule.epochs) == ("area", 0, 90)
    assert (torchvision.schedule.milestones, torchvision.schedule.milestone_epochs) == ([], [30, 60])
    later = load_config("imagenet_r50_torchvision2")
    assert isinstance(later, ClassificationRunConfig)
    assert (later.data.crop, later.data.crop_in_testing, later.data.test_short_side) == (176, 224, 232)
    assert (later.schedule.policy, later.schedule.epochs, later.schedule.milestone_epochs) == ("cosine", 600, [])
    assert len(build_train_transform(later.data).transforms) == 2
    # 32 steps with the decay of torchvision's command: 1 - (1 - 0.99998) * 8 processes * 128 images * 32 steps / 600 epochs
    assert later.run.ema**32 == pytest.approx(1 - 0.00002 * 8 * 128 * 32 / 600, abs=1e-5)
    assert epochs.model.backbone.mean == [0.4914, 0.4822, 0.4465]
    assert (epochs.schedule.milestone_epochs, epochs.data.mean_image) == ([77, 103], "")


@pytest.mark.parametrize("name", ["imagenet_r50", "imagenet_r101", "imagenet_r152", "imagenet_loc_r101_rpn"])
def test_the_paper_s_bottlenecks_have_their_stride_in_the_1x1(name: str) -> None:
    assert load_config(name).model.backbone.stride_in_1x1


def test_the_settings_of_the_paper() -> None:
    coco, voc = load_config("coco_r101"), load_config("voc07_r101")
    assert isinstance(coco, DetectionRunConfig)
    assert isinstance(voc, DetectionRunConfig)
    for config, anchors, regions in ((coco, 15, 512), (voc, 9, 128)):
        assert len(config.model.anchors.sizes) * len(config.model.anchors.ratios) == anchors
        assert config.model.roi.batch_size_per_image == regions
        assert config.model.rpn.post_nms_top_n_test == 300
        assert (config.data.test_short_side, config.data.max_side) == (600, 1000)
        assert config.optimizer.lr == 0.001
        test, rpn, roi = config.model.test, config.model.rpn, config.model.roi
        assert (test.score_thresh, test.detections_per_image) == (0.05, 100)
        assert (rpn.batch_size_per_image, rpn.positive_fraction, rpn.fg_iou_thresh, rpn.bg_iou_thresh) == (256, 0.5, 0.7, 0.3)
        assert (rpn.pre_nms_top_n_train, rpn.post_nms_top_n_train, rpn.nms_thresh) == (12_000, 2000, 0.7)
        assert (roi.pooled_size, roi.positive_fraction, roi.fg_iou_thresh) == (14, 0.25, 0.5)
    assert (coco.model.test.nms_thresh, voc.model.test.nms_thresh) == (0.5, 0.3)
    assert (coco.run.batch, coco.schedule.milestones, coco.schedule.iterations) == (8, [240_000], 320_000)
    assert len(voc.data.names) == 20


@pytest.mark.parametrize("name", ["plain18", "plain34", "r18_a", "r34", "r34_a", "r34_c", "r50", "r101", "r152"])
def test_the_imagenet_recipe_of_the_paper(name: str) -> None:
    config = load_config(f"imagenet_{name}")
    assert isinstance(config, ClassificationRunConfig)
    data, optimizer, schedule = config.data, config.optimizer, config.schedule
    assert (data.short_side, data.crop, data.crop_from, data.hflip, data.lighting) == ([256, 480], 224, "short_side", 0.5, 0.1)
    assert (config.run.batch, optimizer.lr, optimizer.momentum, optimizer.weight_decay) == (256, 0.1, 0.9, 1e-4)
    assert (schedule.iterations, len(schedule.milestones), schedule.gamma) == (600_600, 3, 0.1)
    assert config.recompute_bn


def test_the_improved_systems_and_the_four_steps_of_the_paper() -> None:
    for name in ("coco_r101_improved", "voc07_r101_plus", "imagenet_det_r101"):
        config = load_config(name)
        assert isinstance(config, DetectionRunConfig)
        test = config.model.test
        assert config.model.roi.context
        assert (test.refine, test.vote_iou, test.nms_thresh, test.flip) == (True, 0.5, 0.3, False)
        assert test.short_sides == [200, 400, 600, 800, 1000]
    plus, improved = load_config("voc07_r101_plus"), load_config("coco_r101_improved")
    assert Path(plus.model.weights).parent == Path(improved.output)
    assert plus.model.anchors == improved.model.anchors  # of one network
    steps = load_config("coco_r101_4step")
    assert isinstance(steps, DetectionRunConfig)
    assert steps.training == "alternating"
    assert (steps.alternating.rpn.batch, steps.alternating.roi.batch) == (8, 16)
    for phase in (steps.alternating.rpn, steps.alternating.roi):
        assert (phase.iterations, phase.milestones) == (320_000, [240_000])
    assert [source.split for source in load_config("voc0712_r101").data.train] == ["trainval", "test", "trainval"]


@pytest.mark.parametrize("path", [path for path in CONFIGS if path.stem.startswith("cifar10_")], ids=lambda path: path.stem)
def test_the_cifar_recipe_of_the_paper(path: Path) -> None:
    config = load_config(path)
    assert isinstance(config, ClassificationRunConfig)
    schedule, data, optimizer = config.schedule, config.data, config.optimizer
    if path.stem.endswith(("_short", "_epochs")):  # recipes of their own
        return
    assert (schedule.iterations, schedule.milestones, schedule.gamma) == (64_000, [32_000, 48_000], 0.1)
    assert (config.run.batch, optimizer.lr, optimizer.momentum, optimizer.weight_decay) == (128, 0.1, 0.9, 1e-4)
    assert (data.crop, data.pad, data.short_side, data.hflip, data.lighting) == (32, 4, [], 0.5, 0)
    assert data.mean_image == "compute"
    kind, depth = (path.stem.removeprefix("cifar10_").rstrip("0123456789"), int(re.findall(r"\d+", path.stem)[-1]))
    assert config.model.backbone.name == f"cifar_{'plain' if kind == 'plain' else 'resnet'}{depth}"
    assert (schedule.warmup_until_error, schedule.warmup_factor) == (
        (0.8, 0.1) if depth in (110, 1202) and kind == "r" else (0, 0.001)
    )
