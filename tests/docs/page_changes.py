"""What the pages' commands become in the small world, and which of them cannot run there."""

from __future__ import annotations

from typing import NamedTuple

from page_world import PHOTOS, TRUTH

NETWORK = "it asks another host; tests with servers of their own do"
PROCESSES = "eight processes; tests/distributed starts some"
CANNOT = {
    "bench": "measures for minutes; tests/commands/test_bench.py runs short ones",
    "data download": NETWORK,
    "weights download": NETWORK,
    "push": NETWORK,
    "predict --weights hf://me/shapes": NETWORK,
    "predict --weights m.safetensors photos/ --devices 8": PROCESSES,
    "predict --weights runs/coco_r50/model.safetensors photos/ --devices 8": PROCESSES,
    "eval --config runs/coco_r50/config.yaml --devices 8": PROCESSES,
    "train-det --config coco_r50": PROCESSES,
}
# run with PAGE_COMMANDS=all: what they cost in CPU seconds, and what is run without it
DEAR = {
    "analyze degradation": "2.8 s; tests/analysis trains networks for it",
    "analyze shortcuts": "2.5 s; the same",
    "export runs/mine/model.safetensors detector.pt2": "7 s; tests/export writes such files",
    "train-det --data photos --budget": "2 s; the same without these options",
    "train-det --data photos.zip": "2 s; tests/training/plan reads a zip",
    "train-loc --config imagenet_loc_r101_rcnn": "2.5 s; tests/training/localization trains one",
}
SLOW_PAGES = ("docs/analyses.md", "docs/own_data.md")  # of those that are run, these take more than 5 seconds
DEAR_PAGES = {"docs/lesson.md": "9 s; the analyses of docs/analyses.md with other numbers"}


class Change(NamedTuple):
    """How a command becomes a small one.

    Attributes:
        more: what is added to it.
        other: words that are others, where a page uses one name for several things.
    """

    more: str = ""
    other: dict[str, str] = {}  # noqa: RUF012


SHORT = "schedule.iterations=2 run.loggers=[] data.workers=0 run.batch=1"
OWN = f"{SHORT} data.short_side=[64] data.test_short_side=64 data.max_side=96 model.backbone.width=8"
CURVES = f"--iterations 2 {SHORT} run.batch=2 model.backbone.name=cifar_resnet8 run.eval_every=0"
DEPTHS = {f"cifar_{kind}{old}": f"cifar_{kind}{new}" for kind in ("plain", "resnet") for old, new in ((20, 8), (56, 14))}
OBJECTS = " ".join(
    f"data.{part}.format=coco data.{part}.root={PHOTOS} data.{part}.annotations={TRUTH}" for part in ("train", "val")
)
LOCALIZER = f"{SHORT} {OBJECTS} schedule.epochs=0 schedule.milestone_epochs=[] data.crop=64 data.short_side=[64,64]"
LOCALIZER += " model.backbone.name=resnet18 model.backbone.width=4 model.backbone.weights= model.backbone.stride_in_1x1=false"
IMAGENET = {f"{name}.safetensors": f"imagenet/{name}.safetensors" for name in "ab"}
CIFAR = {name: f"cifar/{name.removeprefix('runs/')[0]}.safetensors" for name in ("a.safetensors", "runs/a/model.safetensors")}
CIFAR |= {"runs/b/model.safetensors": "cifar/b.safetensors", "model.safetensors": "cifar/a.safetensors", "b.pth": "cifar/b.pth"}
CHANGES: dict[str, Change] = {
    "analyze": Change("data.workers=0", CIFAR),
    "analyze diff": Change("data.workers=0 model.backbone.name=cifar_resnet14 model.backbone.width=4", CIFAR),
    "analyze degradation": Change(CURVES, DEPTHS),
    "analyze gradients": Change(f"{CURVES} --batches 1", DEPTHS),
    "analyze gradients --config cifar10_r20 --weights": Change(f"{SHORT} run.batch=2 --batches 1", CIFAR),
    "analyze identity": Change(f"{CURVES} --seeds 1"),
    "analyze norm": Change(f"{CURVES} --rates 0.1 --seeds 1", DEPTHS),
    "analyze shortcuts": Change(f"{CURVES} --seeds 1"),
    "convert model.safetensors model_final.pth": Change(other={"model.safetensors": "eighty.safetensors"}),
    "data convert --format coco": Change(other={"DEST": "DEST_2"}),
    "data mean": Change(other={"mine.yaml": "pets.yaml"}),
    "data pca": Change(other={"mine.yaml": "pets.yaml"}),
    "eval --config C --predictions": Change("--output scored", {"submission.csv": "runs/C/eval/submission.csv"}),
    "eval --config C --weights": Change(other={"a.safetensors": "objects/a.safetensors", "b.pth": "objects/b.pth"}),
    "eval --config coco_r50 --weights": Change(
        "data.workers=0 model.backbone.width=8 data.test_short_side=160 data.max_side=266"
    ),
    "eval --config imagenet_r50": Change(
        "data.workers=0", {f"{name}.safetensors": f"imagenet/{name}.safetensors" for name in "ab"}
    ),
    "eval --config imagenet_r50 --predictions": Change(
        "--output both", {f"{name}/predictions.npz": "runs/imagenet_r50/eval/predictions.npz" for name in "ab"}
    ),
    "eval --config tiny_loc_r18 --constant-box": Change(LOCALIZER),
    "train-cls --data": Change(f"{SHORT} run.batch=2 model.backbone.width=8 data.crop=32"),
    "train-det --config mine.yaml": Change(other={"schedule.iterations=30000": "schedule.iterations=3"}),
    "train-det --data": Change(OWN),
    "train-det --data photos --budget": Change(f"{OWN} --output runs/r50"),
    "train-loc": Change(f"{LOCALIZER} model.rcnn.fg_iou_thresh=0.01"),
}
