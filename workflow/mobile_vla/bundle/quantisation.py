"""Quantise an encoder's matrix products to int8, a weight at a time.

Each column of a weight has its own scale, each input one scale a step ("dynamic"): the scheme of
Jacob et al. 2018 (arXiv:1712.05877), with the operators that onnxruntime's quantiser writes. That
one holds the model several times over in memory; here it is one matrix.

Weights are stored as uint8 around 128, since products of uint8 with int8 saturate on x86 processors
without VNNI: the same file would be a worse policy there than on the robot.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from mobile_vla.files import atomic_path

LARGEST = 127  # of int8, both ways
ZERO = 128  # what stands for 0 in uint8
SCALE, WEIGHT = ".scale", ".int8"  # come after a weight's name
ZERO_NAME = "weights.zero"
SMALL = 1024  # bytes: smaller tensors stay in the graph's file
BLOCK = 1 << 24  # bytes that are copied at a time

Quantise = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def by_column(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Quantise a matrix (K, N) float32 with a scale for each column.

    Returns:
        (K, N) whole numbers from -127 to 127, as int8, and (N,) float32: their product is the
        matrix but for rounding.
    """
    largest = np.abs(matrix).max(axis=0)
    scale = np.where(largest > 0, largest / LARGEST, 1.0).astype(np.float32)
    rounded = np.rint(matrix / scale)
    return np.clip(rounded, -LARGEST, LARGEST).astype(np.int8), scale


def quantise_encoder(
    graph: Path, weights: Path, to_graph: Path, to_weights: Path, scheme: Quantise = by_column
) -> int:
    """Write an encoder whose products with weights are in int8; return how many there are.

    Args:
        graph: the encoder's ``.onnx`` in fp32.
        weights: its tensors.
        to_graph: the file to write.
        to_weights: the file to write for its tensors, in the same folder.
        scheme: makes int8 and scales of a matrix.
    """
    model = onnx.load(str(graph), load_external_data=False)
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    products = {
        node.output[0]: node.input[1]
        for node in model.graph.node
        if node.op_type == "MatMul" and _is_matrix(stored.get(node.input[1]))
    }
    quantised = sorted(set(products.values()))
    nodes = list(_nodes(model, products))
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    kept = _uses(model)
    with weights.open("rb") as source, atomic_path(to_weights) as temporary:
        with temporary.open("wb") as file:
            new = [numpy_helper.from_array(np.array(ZERO, dtype=np.uint8), ZERO_NAME)]
            for name, tensor in stored.items():
                if name in quantised:
                    values, scale = scheme(_array(tensor, source))
                    shifted = (values.astype(np.int16) + ZERO).astype(np.uint8)
                    new.append(_written(name + WEIGHT, shifted, file, to_weights.name))
                    new.append(numpy_helper.from_array(scale, name + SCALE))
                if name in kept:
                    new.append(_copied(tensor, source, file, to_weights.name))
        del model.graph.initializer[:]
        model.graph.initializer.extend(new)
        with atomic_path(to_graph) as unfinished:
            unfinished.write_bytes(model.SerializeToString(deterministic=True))
    return len(products)


def columns_without_scale(graph: Path) -> list[str]:
    """Return the quantised weights of an encoder that do not have a scale for each column."""
    model = onnx.load(str(graph), load_external_data=False)
    sizes = {tensor.name: list(tensor.dims) for tensor in model.graph.initializer}
    weights = [name.removesuffix(WEIGHT) for name in sizes if name.endswith(WEIGHT)]
    return [name for name in weights if sizes[name + SCALE] != sizes[name + WEIGHT][1:]]


def _is_matrix(tensor: TensorProto | None) -> bool:
    return tensor is not None and len(tensor.dims) == 2 and tensor.data_type == TensorProto.FLOAT


def _nodes(model: Any, products: dict[str, str]) -> Iterator[Any]:
    """Yield the nodes in their order; in the place of a product with a weight its parts."""
    made: set[str] = set()  # inputs that are quantised already: several products share one
    for node in model.graph.node:
        output = node.output[0]
        if output not in products:
            yield node
            continue
        given, weight = node.input[0], products[output]
        eighth, scale, zero = (f"{given}.{part}" for part in ("uint8", "scale", "zero"))
        if given not in made:
            made.add(given)
            yield helper.make_node(
                "DynamicQuantizeLinear", [given], [eighth, scale, zero], name=f"{given}.quantise"
            )
        whole, number, both = (f"{output}.{part}" for part in ("int32", "float", "scale"))
        yield helper.make_node(
            "MatMulInteger",
            [eighth, weight + WEIGHT, zero, ZERO_NAME],
            [whole],
            name=f"{output}.product",
        )
        yield helper.make_node(
            "Cast", [whole], [number], name=f"{output}.cast", to=TensorProto.FLOAT
        )
        yield helper.make_node("Mul", [scale, weight + SCALE], [both], name=f"{output}.scales")
        yield helper.make_node("Mul", [number, both], [output], name=f"{output}.scaled")


def _uses(model: Any) -> set[str]:
    return {name for node in model.graph.node for name in node.input}


def _place(tensor: TensorProto) -> tuple[int, int]:
    """Return where a tensor's bytes begin in the file of weights, and how many there are."""
    entries = {entry.key: entry.value for entry in tensor.external_data}
    return int(entries.get("offset", 0)), int(entries["length"])


def _array(tensor: TensorProto, source: BinaryIO) -> np.ndarray:
    """Return a float32 tensor's values."""
    if tensor.data_location != TensorProto.EXTERNAL:
        return np.asarray(numpy_helper.to_array(tensor))
    first, length = _place(tensor)
    source.seek(first)
    return np.frombuffer(source.read(length), dtype="<f4").reshape(tuple(tensor.dims))


def _written(name: str, values: np.ndarray, file: BinaryIO, location: str) -> TensorProto:
    """Write uint8 values; return the tensor that says where they are."""
    tensor = TensorProto(name=name, data_type=TensorProto.UINT8, dims=values.shape)
    data = values.tobytes()
    _locate(tensor, location, file.tell(), len(data))
    file.write(data)
    return tensor


def _copied(tensor: TensorProto, source: BinaryIO, file: BinaryIO, location: str) -> TensorProto:
    """Copy a tensor that stays as it is."""
    if tensor.data_location == TensorProto.EXTERNAL:
        first, length = _place(tensor)
        _locate(tensor, location, file.tell(), length)
        source.seek(first)
        for start in range(0, length, BLOCK):
            file.write(source.read(min(BLOCK, length - start)))
    return tensor


def _locate(tensor: TensorProto, location: str, offset: int, length: int) -> None:
    del tensor.external_data[:]
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", offset), ("length", length)):
        tensor.external_data.add(key=key, value=str(value))
