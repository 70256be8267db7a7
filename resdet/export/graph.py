"""An ONNX graph that is written node by node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from resdet.version import __version__

OPSET = 18  # RoiAlign samples at half pixels from 16 on
_IR_VERSION = 8  # the file layout that came with this opset: runtimes of 2023 read it
Value: TypeAlias = str
"""The name of a tensor that a node gives."""
Operand: TypeAlias = Value | int | float | Sequence[int] | Sequence[float] | NDArray[Any]


class Graph:
    """Nodes in the order in which they were added, with their constants.

    An operand is a value, an array, or Python numbers: whole ones become int64, others float32.
    """

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[tuple[str, tuple[int, ...], bytes], onnx.TensorProto] = {}
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []

    def input(self, name: str, dtype: type[np.generic], shape: Sequence[int | str]) -> Value:
        """An input of the graph; a side that is a text may be any number, the same wherever the text stands."""
        self._inputs.append(_info(name, dtype, shape))
        return name

    def output(self, value: Value, name: str, dtype: type[np.generic], shape: Sequence[int | str]) -> None:
        """Make ``value``, which a node gives, an output of the graph; from then on it is called by the output's name."""
        for node in self._nodes:
            for names in (node.input, node.output):
                names[:] = [name if each == value else each for each in names]
        self._outputs.append(_info(name, dtype, shape))

    def add(self, operator: str, *operands: Operand, **attributes: Any) -> Value:
        """A node of one output, of ONNX's operators; returns its output."""
        return self.add_split(operator, *operands, outputs=1, **attributes)[0]

    def add_split(self, operator: str, *operands: Operand, outputs: int, **attributes: Any) -> list[Value]:
        """A node of several outputs."""
        name = f"{operator}_{len(self._nodes)}"
        results = [f"{name}_out{index}" for index in range(outputs)] if outputs > 1 else [f"{name}_out"]
        values = [self._value(each) for each in operands]
        self._nodes.append(helper.make_node(operator, values, results, name=name, **attributes))
        return results

    def sides(self, value: Value, first: int, last: int) -> Value:
        """Some sides of a tensor's shape, int64 (last - first,)."""
        return self.add("Shape", value, start=first, end=last)

    def shaped(self, value: Value, *sides: Operand) -> Value:
        """``value`` in another shape: numbers (0: as it is, -1: what is left) and values of ``sides``."""
        parts = [each if isinstance(each, str) else np.atleast_1d(np.asarray(each, np.int64)) for each in sides]
        return self.add("Reshape", value, self.add("Concat", *parts, axis=0))

    def cast(self, value: Value, dtype: type[np.generic]) -> Value:
        """``value`` in another number format."""
        return self.add("Cast", value, to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def model(self, metadata: Mapping[str, str]) -> onnx.ModelProto:
        """The whole as an ONNX model, which ``onnx.checker`` has accepted."""
        constants = list(self._constants.values())
        model = helper.make_model(
            helper.make_graph(self._nodes, "resdet", self._inputs, self._outputs, constants),
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=_IR_VERSION,
            producer_name="resdet",
            producer_version=__version__,
        )
        helper.set_model_props(model, dict(metadata))
        onnx.checker.check_model(model, full_check=True)
        return model

    def _value(self, operand: Operand) -> Value:
        if isinstance(operand, str):
            return operand
        array = np.asarray(operand)
        if not isinstance(operand, np.ndarray):
            array = array.astype(np.int64 if array.dtype.kind == "i" else np.float32)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            self._constants[key] = numpy_helper.from_array(np.asarray(array, order="C"), f"constant_{len(self._constants)}")
        return self._constants[key].name


def _info(name: str, dtype: type[np.generic], shape: Sequence[int | str]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), list(shape))
