"""Files of ``torch.export``, ``.pt2``, compiled or not: written, and read again to be tried.

Torch's reader of such files unpickles, and evaluates what they say, and compiled ones are native code: only what was written
here a moment ago is read here.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import torch
from numpy.typing import NDArray
from torch import _inductor, nn
from torch._inductor.cpp_builder import get_cpp_compiler

from resdet.errors import ConfigError, DataError, ResdetError
from resdet.export.subject import Subject
from resdet.export.torch_programs import ClassifierProgram, DetectorProgram, LocalizerProgram
from resdet.inference.classifier import ImageClassifier
from resdet.inference.detector import Detector
from resdet.inference.exported.program import OUTPUTS, ExportFacts, Program
from resdet.inference.exported.runtimes import Arrays, Session
from resdet.models.card_network import card_config
from resdet.models.classifier import Classifier
from resdet.models.detection.faster_rcnn import FasterRCNN
from resdet.models.localization.per_class_rpn import PerClassRPN
from resdet.wording import reason_of


def write_torch_file(path: Path, subject: Subject, metadata: Mapping[str, str], *, compiled: bool) -> Program:
    """Write a model as a ``.pt2`` file with ``metadata``, and read it again.

    Args:
        path: the file.
        subject: the model.
        metadata: the file's extra files; of a compiled one its metadata.
        compiled: whether AOTInductor makes native code of it, for processors like this one.

    The number of images is free, and of a localizer the number of classes asked for. So are the sides of a detector's images,
    from 17 pixels on, and of a localizer's, from 33 on.

    Raises:
        ConfigError: a file that is to be compiled where torch cannot compile, or finds no compiler.
        ResdetError: a network that torch cannot export.
    """
    if compiled:
        _check_compiler()
    module, example, dynamic = _program(subject)
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torchvision's that torch will change
            exported = torch.export.export(module.eval(), tuple(example.values()), dynamic_shapes=dynamic, strict=False)
            runs = (_compiled if compiled else _saved)(path, exported, metadata)
    except Exception as error:  # a tracer of any code can raise anything
        raise ResdetError(f"{subject.path}: torch {torch.__version__} cannot export it: {reason_of(error, 300)}") from error

    def run(inputs: Arrays) -> dict[str, NDArray[Any]]:
        try:
            with torch.no_grad():
                found = runs(*(torch.from_numpy(inputs[name]) for name in example))
        except (RuntimeError, AssertionError) as error:
            height, width = inputs["images"].shape[1:3]
            raise DataError(
                f"{path}: torch cannot run it on a picture that is resized to {width}x{height} pixels (docs/export.md says "
                f"which sizes such files take): {reason_of(error, 300)}"
            ) from error
        return {name: tensor.numpy() for name, tensor in found.items()}

    session = Session(list(example), list(OUTPUTS[subject.card.task]), dict(metadata), run)
    return Program(path, subject.card, card_config(path, subject.card), ExportFacts("fp32", resizes=False), session)


def _saved(path: Path, exported: torch.export.ExportedProgram, metadata: Mapping[str, str]) -> Callable[..., Any]:
    torch.export.save(exported, path, extra_files=dict(metadata))
    return torch.export.load(path).module()


def _compiled(path: Path, exported: torch.export.ExportedProgram, metadata: Mapping[str, str]) -> Callable[..., Any]:
    options = {"aot_inductor.metadata": dict(metadata)}
    _inductor.aoti_compile_and_package(exported, package_path=str(path), inductor_configs=options)
    return _inductor.aoti_load_package(str(path))


def _check_compiler() -> None:
    """A ConfigError where nothing can be compiled."""
    if not hasattr(_inductor, "aoti_compile_and_package"):  # which torch does not call public
        raise ConfigError(f"'compile': torch {torch.__version__} has no torch._inductor.aoti_compile_and_package")
    try:
        get_cpp_compiler()
    except RuntimeError as error:
        raise ConfigError("'compile' needs a C++ compiler, g++ for instance, which torch finds by itself or by CXX") from error


def _program(subject: Subject) -> tuple[nn.Module, dict[str, torch.Tensor], dict[str, Any]]:
    """The module, inputs like those that it is for, and which of their sides are free."""
    # with an end, for torch 2.6 wants a number of images to be no other than the largest of all numbers
    batch, asked = (torch.export.Dim(name, min=1, max=1 << 16) for name in ("batch", "asked"))
    side = torch.export.Dim.DYNAMIC
    if isinstance(subject.original, Detector):
        images, sizes = torch.zeros(2, 96, 128, 3, dtype=torch.uint8), torch.tensor([[96, 128], [80, 100]])
        module: nn.Module = DetectorProgram(cast(FasterRCNN, subject.original.models[0]))
        free: dict[str, Any] = {"images": {0: batch, 1: side, 2: side}, "sizes": {0: batch}}
        return module, {"images": images, "sizes": sizes}, free
    if isinstance(subject.original, ImageClassifier):
        crop = subject.sizes["crop"]
        images = torch.zeros(2, crop, crop, 3, dtype=torch.uint8)
        return ClassifierProgram(cast(Classifier, subject.original.model)), {"images": images}, {"images": {0: batch}}
    images, classes = torch.zeros(2, 96, 128, 3, dtype=torch.uint8), torch.zeros(2, 3, dtype=torch.int64)
    module = LocalizerProgram(cast(PerClassRPN, subject.original.models[0]), subject.original.vote_iou)
    free = {"images": {0: batch, 1: side, 2: side}, "classes": {0: batch, 1: asked}}
    return module, {"images": images, "classes": classes}, free
