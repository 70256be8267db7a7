"""Graphs of ``resdet.export``, run by each runtime."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor

from resdet.export.graph import Graph
from resdet.inference.exported.runtimes import openvino_core

RUNTIMES = ["onnxruntime", "openvino"]


def run_graph(graph: Graph, inputs: Mapping[str, np.ndarray], runtime: str) -> dict[str, np.ndarray]:
    """The outputs of a graph by name; skips where the runtime is not installed."""
    return run_model(graph.model({}), inputs, runtime)


def run_model(model: onnx.ModelProto, inputs: Mapping[str, np.ndarray], runtime: str) -> dict[str, np.ndarray]:
    package: Any = pytest.importorskip(runtime)
    content = model.SerializeToString()
    names = [each.name for each in model.graph.output]
    if runtime == "onnxruntime":
        options = package.SessionOptions()
        options.intra_op_num_threads = 1
        session = package.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        return dict(zip(names, session.run(names, dict(inputs)), strict=True))
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    core = openvino_core("export")
    compiled = core.compile_model(core.read_model(io.BytesIO(content)), "CPU", settings)
    found = compiled(dict(inputs))
    return {name: np.array(found[index]) for index, name in enumerate(names)}


def as_batch(images: Sequence[Tensor], filling: int = 0) -> np.ndarray:
    """Images uint8 (3, H_i, W_i) as the exported files take them, what is outside of an image ``filling``."""
    height, width = (max(image.shape[side] for image in images) for side in (1, 2))
    batch = np.full((len(images), height, width, 3), filling, np.uint8)
    for slot, image in zip(batch, images, strict=True):
        slot[: image.shape[1], : image.shape[2]] = image.permute(1, 2, 0).numpy()
    return batch


def detections(found: Mapping[str, np.ndarray], row: int) -> tuple[Tensor, Tensor, Tensor]:
    """The boxes, scores and labels of an image of a batch."""
    count = int(found["counts"][row])
    boxes, scores, labels = (torch.tensor(found[name][row, :count]) for name in ("boxes", "scores", "labels"))
    return boxes, scores, labels
