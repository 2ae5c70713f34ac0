"""Where the nodes of an ONNX graph go: a model of one's own, or somebody's container.

The onnx package is imported when a graph is made, never before.
"""

from abc import ABC, abstractmethod

import numpy as np

from .._late_imports import require

__all__ = ["FIRST_OPSET", "Graph", "ModelGraph", "label_array"]

# Softmax and ArgMax have meant the same since then (onnx 1.8, 2020).
FIRST_OPSET = 13


class Graph(ABC):
    """Nodes and constants, each with a name of its own.

    Parameters
    ----------
    dtype : dtype
        float32 or float64: that of the input, and of all numbers in between.
    opset : int
        Version of the operators.
    """

    def __init__(self, dtype, opset: int):
        self.onnx = require("onnx", "to_onnx")
        self.dtype = np.dtype(dtype)
        self.opset = opset

    @abstractmethod
    def keep(self, array: np.ndarray) -> str:
        """Store an array of numbers, or of strings (dtype object), as it is."""

    @abstractmethod
    def add(
        self,
        op: str,
        *inputs: str,
        output: str | None = None,
        n_outputs: int = 1,
        domain="",
        **attributes,
    ) -> str:
        """Append a node and return the name of its output, the last of several."""

    def constant(self, numbers) -> str:
        """Store numbers in the precision of the graph."""
        return self.keep(np.asarray(numbers, dtype=self.dtype))

    def cast(self, x: str, dtype, output: str | None = None) -> str:
        """Convert numbers."""
        return self.add("Cast", x, to=self.type_of(dtype), output=output)

    def integers(self, values) -> str:
        """Store whole numbers: places, axes or lengths."""
        return self.keep(np.asarray(values, dtype=np.int64))

    def expand(self, x: str, axis: int) -> str:
        """Insert an axis of length 1."""
        return self.add("Unsqueeze", x, self.integers([axis]))

    def mean(self, x: str, axis: int, **attributes) -> str:
        """Means over an axis, which stays with length 1 or as `keepdims` says."""
        if self.opset < 18:
            return self.add("ReduceMean", x, axes=[axis], **attributes)
        return self.add("ReduceMean", x, self.integers([axis]), **attributes)

    def type_of(self, dtype) -> int:
        """Give ONNX's number of a dtype; strings are objects."""
        if np.dtype(dtype) == object:
            return self.onnx.TensorProto.STRING
        return self.onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))

    def tensor(self, name: str, array: np.ndarray):
        """Make the TensorProto of an array."""
        if array.dtype != object:
            return self.onnx.numpy_helper.from_array(array, name)
        texts = [text.encode() for text in array.ravel()]
        return self.onnx.helper.make_tensor(
            name, self.type_of(object), array.shape, texts
        )


class ModelGraph(Graph):
    """A graph that becomes a model by itself, or the body of a node in another.

    Names in a body begin with its prefix: they must not be those of the graph around.
    """

    def __init__(self, dtype, opset: int, prefix: str = ""):
        super().__init__(dtype, opset)
        self._prefix = prefix
        self._nodes: list = []
        self._constants: list = []
        self._domains = {"": opset}
        self._inputs: list = []
        self._outputs: list = []

    def keep(self, array):
        name = f"{self._prefix}constant_{len(self._constants)}"
        self._constants.append(self.tensor(name, array))
        return name

    def add(self, op, *inputs, output=None, n_outputs=1, domain="", **attributes):
        name = output or f"{self._prefix}{op.lower()}_{len(self._nodes)}"
        names = [*(f"{name}_{i}" for i in range(1, n_outputs)), name]
        if domain:
            self._domains[domain] = 1
        self._nodes.append(
            self.onnx.helper.make_node(op, inputs, names, domain=domain, **attributes)
        )
        return name

    def declare_input(self, name: str, *shape) -> str:
        """Say what comes in; a string is a length that may be any."""
        self._inputs.append(self._value(name, self.dtype, shape))
        return name

    def declare_output(self, name: str, dtype, *shape) -> None:
        """Say what goes out."""
        self._outputs.append(self._value(name, dtype, shape))

    def declare_maps(self, name: str, key_dtype) -> None:
        """Say that a sequence of maps to float32 goes out."""
        value = self.onnx.helper.make_tensor_type_proto(self.type_of(np.float32), [])
        maps = self.onnx.helper.make_map_type_proto(self.type_of(key_dtype), value)
        sequence = self.onnx.helper.make_sequence_type_proto(maps)
        self._outputs.append(self.onnx.helper.make_value_info(name, sequence))

    def graph(self, name: str):
        """Make the graph."""
        return self.onnx.helper.make_graph(
            self._nodes, name, self._inputs, self._outputs, self._constants
        )

    def model(self, name: str, **metadata):
        """Make the model."""
        helper = self.onnx.helper
        graph = self.graph(name)
        opsets = [helper.make_opsetid(*item) for item in self._domains.items()]
        model = helper.make_model(graph, opset_imports=opsets, **metadata)
        # The oldest format that knows these operators is read by most runtimes.
        model.ir_version = helper.find_min_ir_version_for(opsets)
        self.onnx.checker.check_model(model)
        return model

    def _value(self, name, dtype, shape):
        return self.onnx.helper.make_tensor_value_info(name, self.type_of(dtype), shape)


def label_array(classes) -> np.ndarray:
    """Write classes (K,) as ONNX has them: int64, or strings (dtype object)."""
    classes = np.asarray(classes)
    if classes.dtype.kind in "biuf":
        return classes.astype(np.int64)
    if all(isinstance(name, str) for name in classes):
        return classes.astype(object)
    raise ValueError(
        f"ONNX has integers and strings for labels, but classes_ is {classes!r}. Fit "
        "with labels of one of these types."
    )
