"""One step of one sequence as each library's users would take it: a function of x [1, input] that keeps the state."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from _case import NAMES, Case
from torch import Tensor, nn

import throughtime as tt

Step = Callable[[Any], Any]
"""From x, a tensor or an array [1, input], to the output, of `hidden` numbers."""


class NotHere(Exception):  # noqa: N818 - no error: there is nothing to measure
    """This way is not installed, or this version lacks it."""


def ours_stepper(case: Case) -> Step:
    layer = _loaded(getattr(tt, NAMES[case.kind])(case.input, case.hidden), case)
    if not hasattr(layer, "stepper"):
        raise NotHere("this version has no stepper()")
    return layer.stepper().step


def ours_layer(case: Case) -> Step:
    return _layer(_loaded(getattr(tt, NAMES[case.kind])(case.input, case.hidden), case))


def torch_layer(case: Case) -> Step:
    return _layer(_loaded(getattr(nn, NAMES[case.kind])(case.input, case.hidden), case))


def torch_cell(case: Case) -> Step:
    cell = _loaded(getattr(nn, f"{NAMES[case.kind]}Cell")(case.input, case.hidden), case)
    state: Any = None

    def step(x: Tensor) -> Tensor:
        nonlocal state
        state = cell(x, state)
        return state[0] if case.kind == "lstm" else state

    return step


def _layer(layer: nn.Module) -> Step:
    state: Any = None

    def step(x: Tensor) -> Tensor:
        nonlocal state
        output, state = layer(x[None], state)
        return output

    return step


def _loaded(layer: Any, case: Case) -> Any:
    with torch.no_grad():
        for name, value in case.weights().items():
            getattr(layer, name if hasattr(layer, name) else f"{name}_l0").copy_(torch.from_numpy(value))
    return layer.eval()


def onnx_run(case: Case) -> Step:
    session, state = _session(case)
    names = list(state)

    def step(x: np.ndarray) -> np.ndarray:
        output, *after = session.run(None, {"x": x[None], **state})
        state.update(zip(names, after, strict=True))
        return output

    return step


def onnx_bound(case: Case) -> Step:
    """Inputs and outputs bound to memory once; two bindings take turns, one's last state being the other's first."""
    session, state = _session(case)
    from onnxruntime import OrtValue

    def value(*shape: int) -> Any:
        return OrtValue.ortvalue_from_numpy(np.zeros(shape, np.float32))

    x_value, output = value(1, 1, case.input), value(1, 1, 1, case.hidden)
    states = [{name: value(1, 1, case.hidden) for name in state} for _ in range(2)]
    bindings = []
    for before, after in (states, states[::-1]):
        binding = session.io_binding()
        binding.bind_ortvalue_input("x", x_value)
        binding.bind_ortvalue_output("output", output)
        for name in state:
            binding.bind_ortvalue_input(name, before[name])
            binding.bind_ortvalue_output(f"{name}_n", after[name])
        bindings.append(binding)
    turns = _forever(bindings)

    def step(x: np.ndarray) -> np.ndarray:
        x_value.update_inplace(x[None])
        session.run_with_iobinding(next(turns))
        return output.numpy()

    return step


def _session(case: Case) -> tuple[Any, dict[str, np.ndarray]]:
    try:
        from _peers.onnx_runtime import session
    except ImportError as error:
        raise NotHere(str(error)) from None
    parts = ("h", "c") if case.kind == "lstm" else ("h",)
    return session(case, threads=1, states=True), {part: np.zeros((1, 1, case.hidden), np.float32) for part in parts}


def _forever(items: list[Any]) -> Iterator[Any]:
    while True:
        yield from items


STEPPERS: dict[str, tuple[Callable[[Case], Step], bool]] = {
    "throughtime, stepper": (ours_stepper, True),
    "throughtime, layer": (ours_layer, True),
    "torch.nn, cell": (torch_cell, True),
    "torch.nn, layer": (torch_layer, True),
    "ONNX Runtime": (onnx_run, False),
    "ONNX Runtime, bound": (onnx_bound, False),
}
"""How each is made, and whether it takes tensors rather than arrays."""
