"""The two runtimes of exported files: ONNX Runtime for ``.onnx``, OpenVINO for ``.xml`` and for ``.onnx``."""

from __future__ import annotations

import contextlib
import functools
import importlib
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from resdet.errors import ConfigError, DataError
from resdet.inference.exported.seal import check_whole
from resdet.models.model_file import check_file
from resdet.wording import reason_of

Arrays: TypeAlias = Mapping[str, NDArray[Any]]
# where in their own code the runtimes were, and what they checked there
_OWN_PLACES = re.compile(
    r"\[ONNXRuntimeError\] : \d+ : \w+ : |/onnxruntime_src/\S+:\d+ .*?\) (?=[A-Z])|Exception from \S+:\d+: |"
    r"Check '.*?' failed at \S+:\d+: |FrontEnd API failed with \w+: "
)
METADATA = ("resdet", "resdet_export")
"""The card of the model, and what is particular to the exported file; both JSON."""


@dataclass(frozen=True)
class Session:
    """A file that a runtime has opened.

    Attributes:
        inputs, outputs: their names.
        metadata: the texts of ``METADATA`` that the file has.
        run: inputs to outputs, by name; a DataError when the runtime fails.
    """

    inputs: Sequence[str]
    outputs: Sequence[str]
    metadata: Mapping[str, str]
    run: Callable[[Arrays], dict[str, NDArray[Any]]]


def open_session(path: Path, runtime: str = "auto") -> Session:
    """Open a file in a runtime, which computes with as many threads as torch.

    Args:
        path: the file.
        runtime: one of ``OF_SUFFIX`` for it; auto: the first of these.

    Raises:
        ConfigError: no such file, a runtime that cannot run it, or that is not installed.
        DataError: a file that is damaged, or that the runtime refuses.
    """
    check_file(path)
    able = OF_SUFFIX[path.suffix.lower()]
    if runtime not in ("auto", *able):
        raise ConfigError(f"{path}: 'runtime' must be auto or {' or '.join(able)}, got {runtime!r}")
    check_whole(path)
    return _OPENERS[able[0] if runtime == "auto" else runtime](path)


def check_torch_runs(path: str | Path, runtime: str) -> None:
    """A ConfigError that says how a model file comes to a runtime that is not torch."""
    if Path(path).suffix.lower() == ".pt2" and Path(path).is_file():
        raise ConfigError(
            f"{path}: resdet does not read .pt2 files, because torch's reader executes what such a file says; where you trust "
            f"it, torch.export.load({str(path)!r}).module() runs it, or torch._inductor.aoti_load_package({str(path)!r}) "
            "where it was compiled"
        )
    if runtime in ("onnxruntime", "openvino"):
        suffix = ".xml" if runtime == "openvino" else ".onnx"
        exported = Path(path).with_suffix(suffix)
        raise ConfigError(
            f"{path}: {runtime} runs exported files: `resdet export {path} {exported}` writes one, and tries it beside this one"
        )
    if runtime not in RUNTIMES:
        raise ConfigError(f"'runtime' must be one of {', '.join(RUNTIMES)}, got {runtime!r}")


def needed(package: str, why: str) -> Any:
    """A package of the extra ``export``, that tells its makers nothing; a ConfigError names the extra where it is missing."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    with _absent("openvino_telemetry"):  # by which OpenVINO tells of each import
        try:
            return importlib.import_module(package)
        except ImportError as error:
            raise ConfigError(f"{why} needs the package {package}: pip install 'resdet[export]'") from error


def openvino_core(why: str) -> Any:
    """OpenVINO's ``Core``, one for the whole process; a ConfigError where the package is missing.

    A core gives the thread that makes it another stack for signals, and frees that memory when it ends, whether or not it is
    the stack of the thread by then: of two cores that end in the order in which they began, the thread is left with memory
    that is gone, and the next signal, a Ctrl-C or a child that ends, kills the process without a word.
    """
    needed("openvino", why)
    return _core()


@functools.cache
def _core() -> Any:
    return importlib.import_module("openvino").Core()


@contextlib.contextmanager
def _absent(package: str) -> Iterator[None]:
    """A context in which a package cannot be imported, unless it was before."""
    if package in sys.modules:
        yield
        return
    sys.modules[package] = None  # type: ignore[assignment]  # how Python is told that it is not there
    try:
        yield
    finally:
        del sys.modules[package]


def _open_onnx(path: Path) -> Session:
    onnxruntime = needed("onnxruntime", f"{path}: to run it")
    state = importlib.import_module("onnxruntime.capi.onnxruntime_pybind11_state")
    refusals = tuple(each for each in vars(state).values() if isinstance(each, type) and issubclass(each, Exception))
    refusals = (*refusals, RuntimeError, ValueError)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = torch.get_num_threads(), 1
    options.log_severity_level = 4  # what it refuses comes as an exception, too
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        metadata = session.get_modelmeta().custom_metadata_map
    except refusals as error:
        raise _refused(path, "ONNX Runtime", error) from error
    names = [each.name for each in session.get_outputs()]

    def run(inputs: Arrays) -> dict[str, NDArray[Any]]:
        try:
            return dict(zip(names, session.run(names, dict(inputs)), strict=True))
        except refusals as error:
            raise _refused(path, "ONNX Runtime", error) from error

    return Session([each.name for each in session.get_inputs()], names, _known(metadata), run)


def _open_openvino(path: Path) -> Session:
    core = openvino_core(f"{path}: to run it")
    options = {
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "INFERENCE_PRECISION_HINT": "f32",  # else a CPU with bfloat16 computes in that
        "PERFORMANCE_HINT": "LATENCY",
    }
    try:
        model = core.read_model(str(path))
        # of an ONNX file they are in a section of their own
        places = {key: place for key in METADATA for place in (["framework", key], [key]) if model.has_rt_info(place)}
        metadata = {key: model.get_rt_info(place).astype(str) for key, place in places.items()}
        compiled = core.compile_model(model, "CPU", options)
        # of the model as it was written: compiling may join an output with another tensor, and give it that one's name, too
        names, given = ([each.any_name for each in side] for side in (model.outputs, model.inputs))
    except (RuntimeError, ValueError) as error:
        raise _refused(path, "OpenVINO", error) from error
    request = compiled.create_infer_request()

    def run(inputs: Arrays) -> dict[str, NDArray[Any]]:
        try:
            request.infer(dict(inputs))
            return {name: np.array(request.get_output_tensor(index).data) for index, name in enumerate(names)}
        except (RuntimeError, ValueError) as error:
            raise _refused(path, "OpenVINO", error) from error

    return Session(given, names, metadata, run)


_OPENERS: Mapping[str, Callable[[Path], Session]] = {"onnxruntime": _open_onnx, "openvino": _open_openvino}
OF_SUFFIX: Mapping[str, tuple[str, ...]] = {".onnx": ("onnxruntime", "openvino"), ".xml": ("openvino",)}
"""The runtimes of an exported file, the usual one first."""
RUNTIMES = ("auto", "torch", *_OPENERS)


def _known(metadata: Mapping[str, str]) -> dict[str, str]:
    return {key: metadata[key] for key in METADATA if key in metadata}


def _refused(path: Path, runtime: str, error: Exception) -> DataError:
    reason = _OWN_PLACES.sub("", reason_of(error)).replace(f"Load model from {path} failed:", "")
    return DataError(f"{path}: {runtime} cannot use it: {reason[:300]}")
