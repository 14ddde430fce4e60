"""Keras 3 on JAX: its own layers, stateless and under `jit`, sequences batch first as it takes them."""

from __future__ import annotations

import os
from typing import Any

os.environ["KERAS_BACKEND"] = "jax"

import jax
import jax.numpy as jnp
import keras
import numpy as np
from _case import Case

from . import Unsupported

_LAYERS = {"rnn": keras.layers.SimpleRNN, "gru": keras.layers.GRU, "lstm": keras.layers.LSTM}
_GATES = {"rnn": [0], "gru": [1, 0, 2], "lstm": [0, 1, 2, 3]}
"""Where torch has the gates that Keras has: a GRU's update comes first there. The order is its own inverse."""


def version() -> str:
    return f"Keras {keras.__version__} on JAX {jax.__version__}"


def prepare(case: Case, threads: int) -> KerasPrepared:
    if case.ragged or case.precision != "float32":
        raise Unsupported("full batches in float32 only")
    return KerasPrepared(case)


class KerasPrepared:
    def __init__(self, case: Case) -> None:
        self.case = case
        layer = _LAYERS[case.kind](case.hidden, return_sequences=True)
        layer.build((case.batch, case.time, case.input))
        layer.set_weights(self._to_keras(case.weights()))
        others = [variable.value for variable in layer.non_trainable_variables]
        self.arguments: list[Any] = [
            jnp.asarray(case.inputs().swapaxes(0, 1)),
            *(variable.value for variable in layer.trainable_variables),
        ]

        def forward(x: Any, *weights: Any) -> Any:
            return layer.stateless_call(list(weights), others, x, training=case.training)[0]

        def training(*arguments: Any) -> Any:
            output, pull = jax.vjp(forward, *arguments[:-1])
            return output, *pull(arguments[-1])

        if case.training:
            self.arguments.append(jnp.asarray(case.cotangent().swapaxes(0, 1)))
        self.call = jax.jit(training if case.training else forward)

    def _to_keras(self, weights: dict[str, np.ndarray]) -> list[np.ndarray]:
        biases = np.stack([self._ordered(weights["bias_ih"]), self._ordered(weights["bias_hh"])])
        bias = biases if self.case.kind == "gru" else biases.sum(0)
        return [self._ordered(weights["weight_ih"]).T, self._ordered(weights["weight_hh"]).T, bias]

    def _ordered(self, weight: np.ndarray) -> np.ndarray:
        """The rows of one library's gates in the other's order."""
        gates = weight.reshape(len(_GATES[self.case.kind]), self.case.hidden, -1)
        return gates[_GATES[self.case.kind]].reshape(weight.shape)

    def run(self) -> Any:
        return jax.block_until_ready(self.call(*self.arguments))

    def results(self) -> dict[str, np.ndarray]:
        if not self.case.training:
            return {"output": np.asarray(self.run()).swapaxes(0, 1)}
        output, x, kernel, recurrent, bias = map(np.asarray, self.run())
        biases = dict(zip(("bias_ih", "bias_hh"), bias.reshape(-1, recurrent.shape[1]), strict=False))
        weights = {"weight_ih": kernel.T, "weight_hh": recurrent.T, **biases}
        return {
            "output": output.swapaxes(0, 1),
            "x": x.swapaxes(0, 1),
            **{name: self._ordered(np.ascontiguousarray(value)) for name, value in weights.items()},
        }
