"""ONNX Runtime: its own GRU, LSTM and RNN operators, in a graph of one node."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
from _case import GATES, NAMES, Case
from onnx import TensorProto, helper, numpy_helper

from . import Unsupported

_GATES = {"rnn": [0], "gru": [1, 0, 2], "lstm": [0, 3, 1, 2]}
"""Where torch has the gates that ONNX has: update, reset, new; input, output, forget, cell."""


def version() -> str:
    return f"ONNX Runtime {onnxruntime.__version__}"


def prepare(case: Case, threads: int) -> OnnxPrepared:
    if case.training or case.ragged or case.precision != "float32":
        raise Unsupported("inference on full batches in float32 only")
    return OnnxPrepared(case, threads)


def session(case: Case, threads: int, states: bool = False) -> onnxruntime.InferenceSession:
    """x → output [time, 1, batch, hidden]; with `states` also h (and c) → h_n (and c_n) [1, batch, hidden]."""
    weights = case.weights()
    initializers = {
        "W": _ordered(case, weights["weight_ih"])[None],
        "R": _ordered(case, weights["weight_hh"])[None],
        "B": np.concatenate([_ordered(case, weights["bias_ih"]), _ordered(case, weights["bias_hh"])])[None],
    }
    parts = (["h", "c"] if case.kind == "lstm" else ["h"]) if states else []
    options = {"linear_before_reset": 1} if case.kind == "gru" else {}
    node = helper.make_node(
        NAMES[case.kind],
        ["x", "W", "R", "B", *(["", *parts] if states else [])],
        ["output", *(f"{part}_n" for part in parts)],
        hidden_size=case.hidden,
        **options,
    )
    state = (1, case.batch, case.hidden)
    graph = helper.make_graph(
        [node],
        case.kind,
        [_described("x", (case.time, case.batch, case.input)), *(_described(part, state) for part in parts)],
        [_described("output", (case.time, *state)), *(_described(f"{part}_n", state) for part in parts)],
        [numpy_helper.from_array(np.ascontiguousarray(value), name) for name, value in initializers.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _described(name: str, shape: tuple[int, ...]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def _ordered(case: Case, weight: np.ndarray) -> np.ndarray:
    gates = weight.reshape(GATES[case.kind], case.hidden, -1)
    return gates[_GATES[case.kind]].reshape(weight.shape)


class OnnxPrepared:
    def __init__(self, case: Case, threads: int) -> None:
        self.session = session(case, threads)
        self.feed = {"x": case.inputs()}

    def run(self) -> np.ndarray:
        return self.session.run(None, self.feed)[0]

    def results(self) -> dict[str, np.ndarray]:
        return {"output": self.run()[:, 0]}
