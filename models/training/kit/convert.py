"""A fitted pipeline as ONNX: one input `features`, one output `probabilities`, the scaler inside; refused when it answers otherwise."""

import numpy as np
import onnx
import onnxruntime
from lightgbm import LGBMClassifier
from onnxmltools.convert.lightgbm.operator_converters.LightGbm import convert_lightgbm
from onnxmltools.convert.xgboost.operator_converters.XGBoost import convert_xgboost
from skl2onnx import to_onnx, update_registered_converter
from skl2onnx.common.data_types import FloatTensorType
from skl2onnx.common.shape_calculator import calculate_linear_classifier_output_shapes
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline
from xgboost import XGBClassifier

from .classical import probabilities
from .problem import Problem

INPUT, OUTPUT = "features", "probabilities"
OPSET = {"": 17, "ai.onnx.ml": 3}
# Largest difference of a probability between Python and ONNX Runtime that may pass.
PARITY = 1e-4

for _class, _name, _convert in (
    (LGBMClassifier, "LightGbmLGBMClassifier", convert_lightgbm), (XGBClassifier, "XGBoostXGBClassifier", convert_xgboost)
):
    update_registered_converter(
        _class, _name, calculate_linear_classifier_output_shapes, _convert, options={"nocl": [True, False], "zipmap": [True, False, "columns"]}
    )


def converted(pipeline: Pipeline, columns: int) -> bytes:
    classifier = pipeline[-1]
    options = {id(classifier): {"zipmap": False}}
    opset = dict(OPSET)
    if isinstance(classifier, KNeighborsClassifier):
        # ONNX Runtime's own distance: forty times quicker than the general operators.
        options[id(classifier)]["optim"] = "cdist"
        opset["com.microsoft"] = 1
    # Without ONNX's Scaler, which multiplies where scikit-learn divides: gradient boosting puts its thresholds on values that it saw, and
    # their last digit would send them the other way.
    wanted = [(INPUT, FloatTensorType([None, columns]))]
    model = to_onnx(pipeline, initial_types=wanted, options=options, target_opset=opset, black_op={"Scaler"})
    graph = model.graph
    kept = [output for output in graph.output if output.name == OUTPUT]
    if len(kept) != 1:
        raise Problem(f"the converter made no output {OUTPUT!r} but {', '.join(o.name for o in graph.output)}")
    del graph.output[:]
    graph.output.extend(kept)
    _drop_unread(graph)
    graph.doc_string = model.doc_string = ""
    onnx.checker.check_model(model)
    return model.SerializeToString()


def _drop_unread(graph: onnx.GraphProto) -> None:
    """Takes out what only the label's output needed."""
    while True:
        read = {name for node in graph.node for name in node.input} | {output.name for output in graph.output}
        idle = [node for node in graph.node if not any(name in read for name in node.output)]
        if not idle:
            break
        for node in idle:
            graph.node.remove(node)
    unread = [constant for constant in graph.initializer if constant.name not in read]
    for constant in unread:
        graph.initializer.remove(constant)


def session(model: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def answers(model: bytes, matrix: np.ndarray) -> np.ndarray:
    return session(model).run([OUTPUT], {INPUT: np.ascontiguousarray(matrix, np.float32)})[0]


def parity(pipeline: Pipeline, model: bytes, matrix: np.ndarray) -> float:
    """Largest difference of a probability over the rows; more than `PARITY` is refused."""
    differences = np.abs(probabilities(pipeline, matrix) - answers(model, matrix)).max(axis=1)
    worst = float(differences.max())
    if worst > PARITY:
        raise Problem(
            f"in ONNX Runtime {int((differences > PARITY).sum())} of {len(matrix)} rows differ from Python's probabilities, the worst by "
            f"{worst:.2e}; more than {PARITY:.0e} is refused and no bundle is written"
        )
    return worst
