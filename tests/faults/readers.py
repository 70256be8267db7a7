"""Every reader of resdet with the files of a seed that are damaged for it."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import torch

from resdet.config import load_config
from resdet.config.localization_data import LocalizationSourceConfig
from resdet.config.schema import ClassificationSourceConfig, DetectionSourceConfig
from resdet.data.download.archives import unpack
from resdet.data.found.classification import find_classes
from resdet.data.found.detection import find_data
from resdet.data.proposals import read_proposals
from resdet.data.sources.classification import build_classification_dataset
from resdet.data.sources.detection import build_dataset
from resdet.data.sources.localization import build_localization_dataset
from resdet.data.statistics import read_mean_image
from resdet.engine.checkpoint import load_state
from resdet.engine.logging import drop_lines_after, has_evaluation
from resdet.engine.optimizer import build_sgd
from resdet.evaluation import score_files
from resdet.evaluation.predictions import read_predictions
from resdet.evaluation.submissions import read_class_ids, read_submission
from resdet.evaluation.voc_files import read_voc_results
from resdet.images import read_image, read_size
from resdet.inference.exported.program import open_program
from resdet.inference.load import load
from resdet.models.backbones.weights.read import read_weights
from resdet.models.model_file import read_card
from resdet.ops.kernels import remembered_answers
from resdet.report.html.run import config_of
from resdet.report.html.run import write_report as write_page


class Reader(NamedTuple):
    """What is damaged and how it is read.

    Attributes:
        seed: the folder of ``make_seeds``.
        files: which of its files are damaged, a pattern.
        read: reads the folder with the damaged file in it, which it is given too.
    """

    seed: str
    files: str
    read: Callable[[Path, Path], Any]


def _detection(form: str, **options: str) -> Callable[[Path, Path], Any]:
    def read(folder: Path, _: Path) -> Any:
        paths = {name: str(folder / value) if name in ("annotations", "images") else value for name, value in options.items()}
        return build_dataset([DetectionSourceConfig(form, str(folder), **paths)])  # type: ignore[arg-type]

    return read


def _classes(form: str, annotations: str = "", split: str = "train") -> Callable[[Path, Path], Any]:
    def read(folder: Path, _: Path) -> Any:
        source = ClassificationSourceConfig(form, str(folder), split, str(folder / annotations) if annotations else "")
        dataset: Any = build_classification_dataset(source, option="data.train")
        return dataset.load(0)

    return read


def _located(form: str, split: str, annotations: str = "") -> Callable[[Path, Path], Any]:
    def read(folder: Path, _: Path) -> Any:
        path = str(folder / annotations) if annotations else ""
        return build_localization_dataset(LocalizationSourceConfig(form, str(folder), split, path))

    return read


def _image(_: Path, file: Path) -> Any:
    read_size(file)
    return read_image(file)


def _state(_: Path, file: Path) -> Any:
    line = torch.nn.Linear(2, 2)
    return load_state(file, line, build_sgd(line, 0.1, 0.9, 0))


def _log(_: Path, file: Path) -> Any:
    return has_evaluation(file), drop_lines_after(file, 1)


def _model(_: Path, file: Path) -> Any:
    read_card(file)
    return load(file)


def _archive(folder: Path, file: Path) -> Any:
    unpack(file, folder / "unpacked", most_files=1000, most_bytes=100 << 20)


def _page(folder: Path, _: Path) -> Any:
    return write_page(folder, config_of(folder))


_NAMES = {1: "a", 2: "b"}
_CLASSES = {1: "cat", 2: "dog"}
READERS: dict[str, Reader] = {
    "images": Reader("image", "*", _image),
    "COCO": Reader("coco", "*.json", _detection("coco", annotations="a.json")),
    "VOC": Reader("voc", "[AI]*/**/*.[xt]*", _detection("voc", split="train")),
    "YOLO labels": Reader("yolo", "labels/**/*.txt", _detection("yolo", split="train")),
    "YOLO data.yaml": Reader("yolo", "*.yaml", _detection("yolo", split="train")),
    "ImageNet DET": Reader("imagenet_det", "[AI]*/**/*.[xt]*", _detection("imagenet_det", split="val")),
    "Label Studio": Reader("label_studio", "*.json", _detection("label_studio", annotations="a.json")),
    "CVAT": Reader("cvat", "*.xml", _detection("cvat", annotations="a.xml")),
    "VIA": Reader("via", "*.json", _detection("via", annotations="a.json")),
    "CSV of boxes": Reader("csv", "*.csv", _detection("csv", annotations="a.csv")),
    "Hugging Face": Reader("hf_objects", "*.jsonl", _detection("hf_objects", annotations="metadata.jsonl")),
    "labelme": Reader("labelme", "*.json", _detection("labelme")),
    "lists of images": Reader("images_list", "*.txt", _detection("coco", annotations="a.json", images="list.txt")),
    "CSV of classes": Reader("list", "*.csv", _classes("list", "list.csv")),
    "JSON of classes": Reader("list_json", "*.json", _classes("list", "list.json")),
    "shards": Reader("shards", "*", _classes("shards")),
    "CIFAR, binary": Reader("cifar_binary", "*", _classes("cifar10")),
    "CIFAR, pickles": Reader("cifar_pickle", "*", _classes("cifar10")),
    "Tiny-ImageNet": Reader("tiny_imagenet", "**/*.txt", _located("tiny_imagenet", "train")),
    "ImageNet's table": Reader("imagenet_loc", "*.csv", _located("imagenet_loc", "val")),
    "ImageNet's XML": Reader("imagenet_xml", "**/*.xml", _located("imagenet_loc", "val", "ILSVRC/Annotations/CLS-LOC/val")),
    "COCO to localize": Reader("coco", "*.json", _located("coco", "train", "a.json")),
    "archives": Reader("archive", "*", _archive),
    "a folder of one's own": Reader("found", "**/*.[jty]*", lambda folder, _: find_data(folder)),
    "a folder of classes": Reader("list", "*.csv", lambda folder, _: find_classes(folder)),
    "results and truth": Reader("scores", "*", lambda folder, _: score_files(folder / "truth.json", folder / "found.json")),
    "VOC results": Reader("voc_results", "*", lambda folder, _: read_voc_results([folder], "val", _NAMES, _CLASSES)),
    "submissions": Reader("submission", "*", lambda _, file: read_submission(file, ["a", "b"], ["cat", "dog"], [1, 2])),
    "class ids": Reader("class_ids", "*", lambda _, file: read_class_ids(file, ["cat", "dog"])),
    "predictions.npz": Reader("predictions", "*", lambda _, file: read_predictions(file)),
    "proposals": Reader("proposals", "*", lambda _, file: read_proposals(file, [1, 2])),
    "mean image": Reader("mean_image", "*", lambda _, file: read_mean_image(file, 32)),
    "models": Reader("model", "*", _model),
    "weights": Reader("weights", "*", lambda _, file: read_weights(file)),
    "training states": Reader("state", "*", _state),
    "run files": Reader("run_file", "*", lambda _, file: load_config(file)),
    "logs": Reader("log", "*", _log),
    "pages of runs": Reader("run_folder", "*", _page),
    "remembered kernels": Reader("kernels", "*", lambda _, file: remembered_answers(file)),
}
if find_spec("onnxruntime"):
    READERS["ONNX"] = Reader("onnx", "*.onnx", lambda _, file: open_program(file))
if find_spec("openvino"):
    READERS["OpenVINO"] = Reader("openvino", "*.xml", lambda _, file: open_program(file))
