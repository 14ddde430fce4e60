"""JAX: `lax.scan` under `jit`, written in two ways, of which the faster one is taken.

The input projection is one product before the loop, or a product a step inside of it. One would expect the first to
win; on CPUs XLA often makes better loops out of the second.
"""

from __future__ import annotations

import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from _case import GATES, Case
from jax import lax

from . import Unsupported


def version() -> str:
    return f"JAX {jax.__version__}"


def prepare(case: Case, threads: int) -> JaxPrepared:
    if case.ragged or case.precision != "float32":
        raise Unsupported("full batches in float32 only")
    return min((JaxPrepared(case, hoisted) for hoisted in (True, False)), key=JaxPrepared.trial)


def rnn_step(h: Any, projected: Any, recurrent: Any) -> tuple[Any, Any]:
    h = jnp.tanh(projected + recurrent)
    return h, h


def gru_step(h: Any, projected: Any, recurrent: Any) -> tuple[Any, Any]:
    reset_x, update_x, new_x = jnp.split(projected, 3, -1)
    reset_h, update_h, new_h = jnp.split(recurrent, 3, -1)
    reset, update = jax.nn.sigmoid(reset_x + reset_h), jax.nn.sigmoid(update_x + update_h)
    new = jnp.tanh(new_x + reset * new_h)
    h = new + update * (h - new)
    return h, h


def lstm_step(state: Any, projected: Any, recurrent: Any) -> tuple[Any, Any]:
    _, memory = state
    input_, forget, cell, output = jnp.split(projected + recurrent, 4, -1)
    memory = jax.nn.sigmoid(forget) * memory + jax.nn.sigmoid(input_) * jnp.tanh(cell)
    h = jax.nn.sigmoid(output) * jnp.tanh(memory)
    return (h, memory), h


_STEPS = {"rnn": rnn_step, "gru": gru_step, "lstm": lstm_step}


class JaxPrepared:
    """Compiled once; the output and all gradients come out of one call of the compiled function.

    Args:
        hoisted: whether the input projection is taken before the loop.
    """

    def __init__(self, case: Case, hoisted: bool) -> None:
        self.backend = "projection before the loop" if hoisted else "projection inside the loop"
        # Weights are [in, out] here, as JAX's users keep them.
        self.arguments = [jnp.asarray(value.T) for value in (case.inputs().T, *case.weights().values())]
        if case.training:
            self.arguments.append(jnp.asarray(case.cotangent()))
        self.names = ("output", "x", *case.weights())
        step, batch, hidden = _STEPS[case.kind], case.batch, case.hidden

        def forward(x: Any, weight_ih: Any, weight_hh: Any, bias_ih: Any, bias_hh: Any) -> Any:
            def project(x: Any) -> Any:
                return x @ weight_ih + bias_ih

            def one(state: Any, x_t: Any) -> tuple[Any, Any]:
                h = state[0] if case.kind == "lstm" else state
                return step(state, x_t if hoisted else project(x_t), h @ weight_hh + bias_hh)

            zeros = jnp.zeros((batch, hidden), x.dtype)
            if hoisted:
                x = project(x.reshape(-1, case.input)).reshape(-1, batch, GATES[case.kind] * hidden)
            return lax.scan(one, (zeros, zeros) if case.kind == "lstm" else zeros, x)[1]

        def training(*arguments: Any) -> Any:
            output, pull = jax.vjp(forward, *arguments[:-1])
            return output, *pull(arguments[-1])

        self.call = jax.jit(training if case.training else forward)

    def trial(self) -> float:
        """The shortest of a few calls, in seconds, once it is compiled."""
        self.run()
        taken = []
        for _ in range(3):
            started = time.perf_counter()
            self.run()
            taken.append(time.perf_counter() - started)
        return min(taken)

    def run(self) -> Any:
        return jax.block_until_ready(self.call(*self.arguments))

    def results(self) -> dict[str, np.ndarray]:
        values = self.run()
        if not isinstance(values, tuple):
            return {"output": np.asarray(values)}
        named = {name: np.asarray(value) for name, value in zip(self.names, values, strict=True)}
        return {name: value.T if name.startswith("weight") else value for name, value in named.items()}
