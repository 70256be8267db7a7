"""A good file, or a folder of them, of each kind that resdet reads, as small as may be."""

from __future__ import annotations

import io
import json
import pickle
import sys
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from PIL import Image
from safetensors.torch import save_file

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "data" / "formats" / "exports"))
import test_exports as exports
from cifar_files import written_cifar10

from resdet.config import config_to_dict
from resdet.config.schema import BackboneConfig, ClassifierConfig, DetectionSourceConfig
from resdet.data.convert.shard_writer import write_shards
from resdet.data.convert.write import convert_dataset
from resdet.data.formats.folder import read_folder
from resdet.data.proposals import make_proposals, write_proposals
from resdet.data.sources.detection import build_dataset
from resdet.engine.checkpoint import save_state
from resdet.engine.optimizer import build_sgd
from resdet.evaluation.predictions import Predictions, write_predictions
from resdet.models.build import build_classifier
from resdet.models.model_file import ModelCard, write_model

CLASSES = ("cat", "dog")
NETWORK = ClassifierConfig(BackboneConfig("cifar_resnet8", width=4))
COCO: dict[str, Any] = {
    "info": {"description": "seed"},
    "images": [{"id": number, "file_name": f"{name}.jpg", "width": 40, "height": 20} for number, name in ((1, "a"), (2, "b"))],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 1, "bbox": [4.0, 2.0, 10.0, 10.0], "area": 100.0, "iscrowd": 0},
        {"id": 2, "image_id": 1, "category_id": 2, "bbox": [20.0, 5.0, 10.0, 10.0], "segmentation": [[20, 5, 30, 5, 30, 15]]},
    ],
    "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
}
LABELME = {
    "imagePath": "a.jpg",
    "imageWidth": 40,
    "imageHeight": 20,
    "shapes": [
        {"label": "cat", "shape_type": "rectangle", "points": [[4, 2], [14, 12]]},
        {"label": "dog", "shape_type": "polygon", "points": [[20, 5], [30, 5], [30, 15]]},
    ],
}
LOG = [
    {"iteration": 1, "lr": 0.1, "loss": 1.5, "loss_cls": 1.5, "time": 0.1, "data_time": 0.0, "eta": 1.0, "memory": 10.0},
    {"iteration": 1, "eval": {"top1": {"error": 0.5}}, "score": -0.5},
    {"iteration": 2, "change": {"optimizer.lr": [0.1, 0.2]}},
]


def make_seeds(folder: Path) -> None:
    """Write all of them below ``folder``, each kind in a folder of its own."""
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for make in (_images, _annotations, _converted, _classes, _tables, _models, _runs, _archives):
            make(folder)


def write(path: Path, content: bytes | str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def _two_images(folder: Path, suffix: str = ".jpg") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in "ab":
        Image.new("RGB", (40, 20), (90, 30, 200)).save(folder / f"{name}{suffix}")


def _images(folder: Path) -> None:
    target = folder / "image"
    target.mkdir(parents=True)
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (9, 12, 3), dtype=np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    for name, options in (
        ("a.jpg", {"exif": exif}),
        ("b.jpg", {"progressive": True}),
        ("a.png", {"exif": exif}),
        ("a.gif", {}),
        ("a.bmp", {}),
        ("a.tif", {"compression": "tiff_lzw"}),
        ("a.webp", {}),
        ("a.ppm", {}),
    ):
        picture.save(target / name, **options)
    Image.new("P", (9, 7)).save(target / "p.png")
    Image.new("I;16", (9, 7)).save(target / "sixteen.png")


def _annotations(folder: Path) -> None:
    """Annotation files of two photos."""
    files = {
        "coco": {"a.json": COCO},
        "label_studio": {"a.json": exports.LABEL_STUDIO},
        "via": {"a.json": exports.VIA},
        "cvat": {"a.xml": exports.CVAT},
        "labelme": {"a.json": LABELME, "b.json": {**LABELME, "imagePath": "b.jpg", "shapes": []}},
        "csv": {
            "a.csv": "filename,width,height,class,xmin,ymin,xmax,ymax\na.jpg,40,20,cat,4,2,14,12\nb.jpg,40,20,dog,1,1,9,9\n"
        },
        "hf_objects": {
            "metadata.jsonl": '{"file_name": "a.jpg", "objects": {"bbox": [[4, 2, 10, 10]], "categories": ["cat"]}}\n'
            '{"file_name": "b.jpg", "objects": {"bbox": [], "categories": []}}\n'
        },
    }
    for kind, contents in files.items():
        _two_images(folder / kind)
        for name, content in contents.items():
            write(folder / kind / name, content if isinstance(content, str) else json.dumps(content))
    found = [{"image_id": 1, "category_id": 1, "bbox": [4, 2, 10, 10], "score": 0.9}]
    write(folder / "scores" / "truth.json", json.dumps(COCO))
    write(folder / "scores" / "found.json", json.dumps(found))
    write(folder / "images_list" / "list.txt", "a.jpg\nb.jpg\n")
    write(folder / "images_list" / "a.json", json.dumps(COCO))
    _two_images(folder / "images_list")


def _converted(folder: Path) -> None:
    source = DetectionSourceConfig("coco", str(folder / "coco"), annotations=str(folder / "coco" / "a.json"))
    for kind in ("voc", "yolo"):
        convert_dataset(build_dataset([source]), kind, folder / kind, "train")
    for name, boxes in (("a", "cat"), ("b", "dog")):
        box = "<xmin>3</xmin><ymin>2</ymin><xmax>8</xmax><ymax>5</ymax>"
        xml = f"<annotation><size><width>40</width><height>20</height></size><object><name>{boxes}</name><bndbox>{box}</bndbox>"
        xml += "</object></annotation>"
        write(folder / "imagenet_xml" / "ILSVRC" / "Annotations" / "CLS-LOC" / "val" / f"{name}.xml", xml)
        write(folder / "imagenet_det" / "Annotations" / "DET" / "val" / f"{name}.xml", xml)
    write(folder / "imagenet_det" / "ImageSets" / "DET" / "val.txt", "a 1\nb 2\n")
    _two_images(folder / "imagenet_det" / "Data" / "DET" / "val", ".JPEG")
    for place in ("imagenet_loc", "imagenet_xml"):  # where there is a table, no XML is read
        _two_images(folder / place / "ILSVRC" / "Data" / "CLS-LOC" / "val", ".JPEG")
        write(folder / place / "LOC_synset_mapping.txt", "cat a cat\ndog a dog\n")
    write(folder / "imagenet_loc" / "LOC_val_solution.csv", "ImageId,PredictionString\na,cat 3 2 8 5 \nb,dog 1 1 9 9 \n")


def _classes(folder: Path) -> None:
    """Sets for classifiers and localizers."""
    for name, kind in (("a", "cat"), ("b", "dog")):
        _two_images(folder / "list")
        place = folder / "folder" / kind
        place.mkdir(parents=True)
        Image.new("RGB", (12, 9), (7, 7, 200)).save(place / f"{name}.jpg")
    write(folder / "list" / "list.csv", "path,label\na.jpg,cat\nb.jpg,dog\n")
    write(
        folder / "list_json" / "list.json", json.dumps([{"path": "a.jpg", "label": "cat"}, {"path": "b.jpg", "label": "dog"}])
    )
    _two_images(folder / "list_json")
    write_shards(read_folder(folder / "folder"), folder / "folder", folder / "shards", "train", 1 << 20)
    written_cifar10(folder / "cifar_binary", images=2)
    batch = {b"data": np.zeros((2, 3072), dtype=np.uint8), b"labels": [0, 1], b"filenames": [b"a.png", b"b.png"]}
    for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"):
        write(folder / "cifar_pickle" / name, pickle.dumps(batch, protocol=2))
    names = [f"class{number}".encode() for number in range(10)]
    write(folder / "cifar_pickle" / "batches.meta", pickle.dumps({b"label_names": names, b"num_vis": 3072}, protocol=2))
    tiny = folder / "tiny_imagenet"
    write(tiny / "wnids.txt", "n01\nn02\n")
    for name in ("n01", "n02"):
        _two_images(tiny / "train" / name / "images")
        write(tiny / "train" / name / f"{name}_boxes.txt", "a.jpg\t3\t2\t8\t5\nb.jpg\t1\t1\t9\t9\n")


def _tables(folder: Path) -> None:
    write(folder / "submission" / "a.csv", "ImageId,PredictionString\na,1 3 2 8 5 2 1 1 9 9\nb,2 1 1 9 9\n")
    write(folder / "submission" / "a.txt", "1 3 2 8 5 2 1 1 9 9\n2 1 1 9 9\n")
    write(folder / "class_ids" / "a.txt", "cat a cat\ndog a dog\n")
    for name in CLASSES:
        write(folder / "voc_results" / f"comp4_det_val_{name}.txt", "a 0.9 3 2 8 5\nb 0.1 1 1 9 9\n")
    scores = np.array([[0.9, 0.1], [0.2, 0.8]], dtype=np.float32)
    target = folder / "predictions"
    target.mkdir()
    write_predictions(target / "a.npz", Predictions(scores, np.array([0, 1]), CLASSES, ("a.jpg", "b.jpg")))
    write(folder / "kernels" / "a.json", json.dumps({"a machine": {"a question": "mm"}}))


def _models(folder: Path) -> None:
    model = build_classifier(NETWORK, CLASSES).eval()
    card = ModelCard(
        "classification", config_to_dict(NETWORK), list(CLASSES), model.pixels.to_dict(), {"short_side": 32, "crop": 32}
    )
    for kind in ("model", "weights", "state", "proposals", "mean_image", "onnx", "openvino"):
        (folder / kind).mkdir()
    write_model(folder / "model" / "a.safetensors", model.state_dict(), card)
    plain = json.loads(json.dumps({**card.__dict__}))  # as releases before wrote it, without checksums
    save_file(dict(model.state_dict()), folder / "model" / "old.safetensors", {"resdet": json.dumps(plain)})
    few = {key: value for key, value in model.state_dict().items() if "conv1" in key or "bn1" in key}
    for name, value in (("a.pth", few), ("b.pt", {"epoch": 3, "state_dict": few}), ("c.ckpt", {"model": few, "lr": 0.1})):
        torch.save(value, folder / "weights" / name)
    torch.save(few, folder / "weights" / "old.pth", _use_new_zipfile_serialization=False)
    save_file(few, folder / "weights" / "d.safetensors")
    arrays = {"blobs": {"conv1_w": np.zeros((2, 3, 3, 3), dtype=np.float32), "res_conv1_bn_s": np.ones(2, dtype=np.float32)}}
    write(folder / "weights" / "e.pkl", pickle.dumps(arrays, protocol=2))
    line = torch.nn.Linear(2, 2)
    save_state(folder / "state" / "state.pt", line, build_sgd(line, 0.1, 0.9, 0), 3, {"evaluated": 2, "data": {"images": 4}})
    boxes = [torch.tensor([[1.0, 2, 30, 40], [2, 3, 9, 9]])] * 2
    write_proposals(folder / "proposals" / "a.safetensors", make_proposals([1, 2], boxes, [torch.ones(2)] * 2), {"model": "x"})
    save_file({"mean": torch.zeros(3, 32, 32)}, folder / "mean_image" / "a.safetensors")
    _exported(folder)


def _exported(folder: Path) -> None:
    try:
        from resdet.export.export import export_file

        for kind, name in (("onnx", "a.onnx"), ("openvino", "a.xml")):
            export_file(folder / "model" / "a.safetensors", folder / kind / name)
    except ImportError:
        pass  # the extra is not installed, and these readers are left out


def _runs(folder: Path) -> None:
    configs = Path(__file__).parents[2] / "configs"
    for name in ("demo_det", "demo_cls", "tiny_loc_r18"):
        write(folder / "run_file" / f"{name}.yaml", yaml.safe_dump(yaml.safe_load((configs / f"{name}.yaml").read_text())))
    write(folder / "log" / "log.jsonl", "".join(json.dumps(line) + "\n" for line in LOG))
    write(folder / "run_folder" / "config.yaml", (folder / "run_file" / "demo_cls.yaml").read_text())
    write(folder / "run_folder" / "log.jsonl", (folder / "log" / "log.jsonl").read_text())
    write(folder / "run_folder" / "metrics.json", json.dumps({"top1": {"error": 0.5, "images": 2}, "per_class": {"cat": 0.5}}))
    write(folder / "run_folder" / "predictions.npz", (folder / "predictions" / "a.npz").read_bytes())


def _archives(folder: Path) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted((folder / "coco").iterdir()):
            archive.write(path, path.name)
    write(folder / "archive" / "a.zip", content.getvalue())
    import tarfile

    for name, kind in (("b.tar", "w"), ("c.tar.gz", "w:gz")):
        with tarfile.open(folder / "archive" / name, kind) as archive:
            archive.add(folder / "coco", ".")
    write(folder / "found" / "data.yaml", "names: [cat, dog]\ntrain: images\n")
    _two_images(folder / "found" / "images")
    write(folder / "found" / "labels" / "a.txt", "1 .5 .5 .2 .4\n")
    write(folder / "found" / "x.json", json.dumps(COCO))
