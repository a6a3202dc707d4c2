"""A network in 8 bits: static, per channel, as pairs of quantise and dequantise that ONNX Runtime joins."""

from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process


class _Reader(CalibrationDataReader):
    def __init__(self, tensors: list[np.ndarray]) -> None:
        self.rest = iter(tensors)

    def get_next(self) -> dict | None:
        tensor = next(self.rest, None)
        return None if tensor is None else {"input": tensor}


def named(path: Path, beginnings: tuple[str, ...]) -> list[str]:
    """The nodes whose names begin so."""
    return [node.name for node in onnx.load(path).graph.node if node.name.startswith(beginnings)]


def quantise(path: Path, out: Path, tensors: list[np.ndarray], keep: list[str] | None = None, operators: list[str] | None = None) -> None:
    """Writes the network at `path` in 8 bits to `out`. `tensors` set the ranges, each a whole input; the nodes named in `keep` stay as they are.

    Ranges hold every activation of those inputs: cutting the last hundredth of a per cent off made the locating network call giants a quarter too slender.
    Weights have seven bits: processors without VNNI add pairs of products in 16 bits, which eight would overflow.
    """
    prepared = out.with_suffix(".prepared.onnx")
    quant_pre_process(str(path), str(prepared), skip_symbolic_shape=True)
    quantize_static(
        str(prepared), str(out), _Reader(tensors), quant_format=QuantFormat.QDQ, per_channel=True, reduce_range=True,
        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, nodes_to_exclude=keep or [], op_types_to_quantize=operators,
    )
    prepared.unlink()
