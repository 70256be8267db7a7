"""From a model file to a file for another runtime that has been tried beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resdet import system
from resdet.errors import ConfigError, DataError, ResdetError
from resdet.files import identity, unfinished_folder
from resdet.inference.exported.program import PRECISIONS, ExportFacts, open_program
from resdet.inference.exported.runtimes import METADATA, OF_SUFFIX, needed, openvino_core
from resdet.inference.exported.seal import BLANK, files_of, seal
from resdet.models.model_file import card_text

if TYPE_CHECKING:
    from PIL import Image

    from resdet.export.subject import Subject

_SHOWN = 10  # differences
_TORCH = ".pt2"


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
    compiled: bool = False,
    images: Sequence[str | Path] = (),
    test: Mapping[str, Any] | None = None,
) -> Exported:
    """Write the model of a file for another runtime, and try it on pictures beside the original before it gets its name.

    Args:
        source: a ``model.safetensors`` of any task.
        destination: ``.onnx``; ``.xml`` for OpenVINO, whose weights come in a ``.bin`` beside it; ``.pt2`` for torch.export, in
            fp32 alone. Written over.
        precision: fp32; fp16: the layers' weights and numbers in 16 bits; int8: convolutions in 8 bits, by what they see on
            ``images``.
        resize: pictures of any size go in, and boxes come in their pixels; else pictures that are resized already.
        compiled: a ``.pt2`` file is native code, for processors like this one, which AOTInductor makes in minutes.
        images: files and folders of pictures to try it on; without any, five are generated.
        test: options of ``model.test`` that the exported file is to have in place of the model's.

    Raises:
        ConfigError: no such file, a package or a compiler that is missing, what cannot be exported.
        DataError: a file that cannot be read.
        ResdetError: fp32, and a picture on which a box differs by more than 0.01 pixels or a score by more than 1e-4.
    """
    source, destination = Path(source), Path(destination)
    _check(source, destination, precision, images, resize=resize, compiled=compiled)
    from resdet.export.check import try_exported  # now that onnx is known to be there
    from resdet.export.photos import trial_pictures
    from resdet.export.subject import read_subject
    from resdet.export.torch_files import write_torch_file

    pictures = trial_pictures(images)
    subject = read_subject(source, resize=resize, test=test or {})
    facts = ExportFacts(precision, resize, "" if destination.suffix == _TORCH else BLANK)
    metadata = dict(zip(METADATA, (card_text(subject.card), facts.to_text()), strict=True))
    with unfinished_folder(destination) as temporary:
        if destination.suffix == _TORCH:
            written = temporary / destination.name
            program = write_torch_file(written, subject, metadata, compiled=compiled)
        else:
            written = _write_graph(temporary, destination, subject, pictures, metadata, facts)
            program = open_program(written)
        try:
            trial = try_exported(program, subject, pictures)
        except DataError as error:  # by the name that the file would have got
            raise DataError([problem.replace(str(written), str(destination)) for problem in error.problems]) from error
        if trial.problems and precision == "fp32":
            raise ResdetError([f"{destination}: not written, it differs from {source}", *_some(trial.problems)])
        # the weights first, then what names them; a graph of before must not be read with these weights in between
        if destination.suffix == ".xml":
            destination.unlink(missing_ok=True)
        parts = files_of(written)
        size = sum(part.stat().st_size for part in parts)
        for part in reversed(parts):
            system.replace(part, destination.with_suffix(part.suffix))
    return Exported(destination, size, len(pictures), trial.losses)


def _write_graph(
    folder: Path,
    destination: Path,
    subject: Subject,
    pictures: Sequence[Image.Image],
    metadata: Mapping[str, str],
    facts: ExportFacts,
) -> Path:
    """The graph of a model as a file of the destination's kind in another folder."""
    from resdet.export.quantize import quantize

    precision, resize = facts.precision, facts.resizes
    written = folder / f"{destination.stem}.onnx"
    whole = folder / "whole.onnx" if precision == "int8" else written
    whole.write_bytes(subject.graph(half=precision == "fp16", resize=resize).model(metadata).SerializeToString())
    if whole != written:
        quantize(whole, written, subject, pictures, resize=resize)
    if destination.suffix == ".xml":
        written = _to_openvino(written, metadata)
    seal(written)
    return written


def _check(
    source: Path, destination: Path, precision: str, images: Sequence[str | Path], *, resize: bool, compiled: bool
) -> None:
    problems = []
    if destination.suffix not in (*OF_SUFFIX, _TORCH):
        problems.append(f"{destination}: must end in {', '.join(OF_SUFFIX)} or {_TORCH}")
    files = files_of(destination)
    problems += [f"{path}: is a folder" for path in files if path.is_dir()]
    if destination.suffix == _TORCH and (precision != "fp32" or resize):
        problems.append(f"{destination}: a {_TORCH} file is fp32 and takes resized pictures; .onnx and .xml have the rest")
    if destination.suffix != _TORCH and compiled:
        problems.append(f"{destination}: 'compile' is for {_TORCH} files")
    problems += [
        f"{path}: is the model that is exported, and would be written over"
        for path in files
        if identity(path) == identity(source)
    ]
    if precision not in PRECISIONS:
        problems.append(f"'precision' must be one of {', '.join(PRECISIONS)}, got {precision!r}")
    if precision == "int8" and not images:
        problems.append("int8 needs pictures like those that the model is for, to see which numbers occur: --images DIR")
    if problems:
        raise ConfigError(problems)
    runtime = {".xml": ("openvino",), _TORCH: ()}.get(destination.suffix, ("onnxruntime",))
    for package in ("onnx", *runtime):
        needed(package, "export")


def _to_openvino(written: Path, metadata: Mapping[str, str]) -> Path:
    openvino = needed("openvino", "export")
    model = openvino_core("export").read_model(str(written))
    for key, text in metadata.items():
        model.set_rt_info(text, key)
    target = written.with_suffix(".xml")
    openvino.save_model(model, str(target), compress_to_fp16=False)
    return target


def _some(problems: Sequence[str]) -> list[str]:
    rest = len(problems) - _SHOWN
    return [*problems[:_SHOWN], *([f"… and {rest} more"] if rest > 0 else [])]
