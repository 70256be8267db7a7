"""From a model file to an ONNX file or an OpenVINO model that has been tried beside it."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resdet import system
from resdet.errors import ConfigError, ResdetError
from resdet.inference.exported.program import PRECISIONS, ExportFacts
from resdet.inference.exported.runtimes import METADATA, OF_SUFFIX, needed
from resdet.models.model_file import card_text

_SHOWN = 10  # differences


@dataclass(frozen=True)
class Exported:
    """A file that was written.

    Attributes:
        path: the file.
        size: its bytes, with those of the weights beside it.
        pictures: on how many it was tried.
        losses: how it did beside the original, for people: what is compared, and the result in words.
    """

    path: Path
    size: int
    pictures: int
    losses: Mapping[str, str]


def export_file(
    source: str | Path,
    destination: str | Path,
    *,
    precision: str = "fp32",
    resize: bool = False,
    images: Sequence[str | Path] = (),
    test: Mapping[str, Any] | None = None,
) -> Exported:
    """Write the model of a file for another runtime, and try it on pictures beside the original before it gets its name.

    Args:
        source: a ``model.safetensors`` of any task.
        destination: ``.onnx``, or ``.xml`` for OpenVINO, whose weights come in a ``.bin`` beside it; written over.
        precision: fp32; fp16: the layers' weights and numbers in 16 bits; int8: convolutions in 8 bits, by what they see on
            ``images``.
        resize: pictures of any size go in, and boxes come in their pixels; else pictures that are resized already.
        images: files and folders of pictures to try it on; without any, five are generated.
        test: options of ``model.test`` that the exported file is to have in place of the model's.

    Raises:
        ConfigError: no such file, a package that is missing, what cannot be exported.
        DataError: a file that cannot be read.
        ResdetError: fp32, and a picture on which a box differs by more than 0.01 pixels or a score by more than 1e-4.
    """
    source, destination = Path(source), Path(destination)
    _check(destination, precision, images)
    from resdet.export.check import try_exported  # now that onnx is known to be there
    from resdet.export.photos import trial_pictures
    from resdet.export.quantize import quantize
    from resdet.export.subject import read_subject

    pictures = trial_pictures(images)
    subject = read_subject(source, resize=resize, test=test or {})
    metadata = dict(zip(METADATA, (card_text(subject.card), ExportFacts(precision, resize).to_text()), strict=True))
    destination.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=destination.parent, prefix=f".{destination.name}.") as temporary:
        written = Path(temporary) / f"{destination.stem}.onnx"
        whole = Path(temporary) / "whole.onnx" if precision == "int8" else written
        graph = subject.graph(half=precision == "fp16", resize=resize)
        whole.write_bytes(graph.model(metadata).SerializeToString())
        if whole != written:
            quantize(whole, written, subject, pictures, resize=resize)
        if destination.suffix == ".xml":
            written = _to_openvino(written, metadata)
        trial = try_exported(written, subject, pictures)
        if trial.problems and precision == "fp32":
            raise ResdetError([f"{destination}: not written, it differs from {source}", *_some(trial.problems)])
        suffixes = (".bin", ".xml") if destination.suffix == ".xml" else (".onnx",)  # the weights first, then what names them
        size = sum(written.with_suffix(suffix).stat().st_size for suffix in suffixes)
        for suffix in suffixes:
            system.replace(written.with_suffix(suffix), destination.with_suffix(suffix))
    return Exported(destination, size, len(pictures), trial.losses)


def _check(destination: Path, precision: str, images: Sequence[str | Path]) -> None:
    problems = []
    if destination.suffix not in OF_SUFFIX:
        problems.append(f"{destination}: must end in {' or '.join(OF_SUFFIX)}")
    if precision not in PRECISIONS:
        problems.append(f"'precision' must be one of {', '.join(PRECISIONS)}, got {precision!r}")
    if precision == "int8" and not images:
        problems.append("int8 needs pictures like those that the model is for, to see which numbers occur: --images DIR")
    if problems:
        raise ConfigError(problems)
    for package in ("onnx", "openvino" if destination.suffix == ".xml" else "onnxruntime"):
        needed(package, "export")


def _to_openvino(written: Path, metadata: Mapping[str, str]) -> Path:
    openvino = needed("openvino", "export")
    model = openvino.Core().read_model(str(written))
    for key, text in metadata.items():
        model.set_rt_info(text, key)
    target = written.with_suffix(".xml")
    openvino.save_model(model, str(target), compress_to_fp16=False)
    return target


def _some(problems: Sequence[str]) -> list[str]:
    rest = len(problems) - _SHOWN
    return [*problems[:_SHOWN], *([f"… and {rest} more"] if rest > 0 else [])]
