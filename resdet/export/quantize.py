"""Eight-bit numbers in place of 32: convolutions of an ONNX file, by what they see on pictures.

Source: post-training static quantization, Jacob et al. 2018, by ONNX Runtime. Activations get one scale for a tensor, weights
one for each channel. Weights have 7 bits, because CPUs with AVX2 alone overflow with 8 and then give other results.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from resdet.data.transforms.sizes import to_tensor
from resdet.export.subject import Subject
from resdet.inference.classifier import ImageClassifier
from resdet.inference.detector import Detector
from resdet.inference.exported.runtimes import Arrays, needed
from resdet.structures import Target


def quantize(source: Path, destination: Path, subject: Subject, pictures: Sequence[Image.Image], *, resize: bool) -> None:
    """Write the int8 form of an ONNX file; ``resize`` as it was exported."""
    tools = needed("onnxruntime.quantization", "--precision int8")
    inputs = _inputs(subject, pictures, resize=resize)
    reader = type("Reader", (tools.CalibrationDataReader,), {"get_next": lambda _: next(inputs, None)})
    before = onnx.load(source)
    level = logging.getLogger().level
    logging.getLogger().setLevel(logging.ERROR)  # it advises a preparation that this graph does not need
    try:
        tools.quantize_static(
            str(source),
            str(destination),
            reader(),
            quant_format=tools.QuantFormat.QDQ,
            op_types_to_quantize=["Conv"],
            per_channel=True,
            reduce_range=True,
            activation_type=tools.QuantType.QUInt8,
            weight_type=tools.QuantType.QInt8,
        )
    finally:
        logging.getLogger().setLevel(level)
    after = onnx.load(destination)
    del after.metadata_props[:]
    after.metadata_props.extend(before.metadata_props)
    onnx.save(after, destination)


def _inputs(subject: Subject, pictures: Sequence[Image.Image], *, resize: bool) -> Iterator[Arrays]:
    """The exported file's inputs for each picture."""
    original = subject.original
    for picture in pictures:
        tensor = to_tensor(picture)
        if isinstance(original, Detector):
            if not resize:
                empty = Target(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), (picture.height, picture.width))
                tensor, _ = original.transform(picture, empty)
            pixels = _one(tensor)
            yield {"images": pixels} if resize else {"images": pixels, "sizes": np.array([pixels.shape[1:3]], np.int64)}
        elif isinstance(original, ImageClassifier):
            yield {"images": _one(tensor if resize else original.transform(picture))}
        else:
            seen = tensor if resize else original.views(picture)[0].pixels
            yield {"images": _one(seen), "classes": np.arange(min(len(original.names), 5))[None]}


def _one(image: Tensor) -> NDArray[np.uint8]:
    """An image (3, H, W) as a batch (1, H, W, 3)."""
    return np.ascontiguousarray(image.numpy().transpose(1, 2, 0))[None]
