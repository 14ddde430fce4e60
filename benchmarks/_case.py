"""One layer over one batch of sequences: what is timed, and the same numbers for everybody who computes it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

GATES = {"gru": 3, "lstm": 4, "rnn": 1}
NAMES = {"gru": "GRU", "lstm": "LSTM", "rnn": "RNN"}


@dataclass(frozen=True)
class Case:
    """One layer, one direction, in training (the forward, and every gradient) or inference.

    Args:
        kind: "gru" (torch's reset form), "lstm" or "rnn" (tanh).
        ragged: lengths are drawn uniformly from T/10 to T.
        precision: "float32", or "bfloat16" for torch's autocast.
    """

    kind: str
    time: int
    batch: int
    input: int
    hidden: int
    training: bool = True
    ragged: bool = False
    precision: str = "float32"

    @property
    def shape(self) -> str:
        return f"T{self.time} B{self.batch} I{self.input} H{self.hidden}"

    @property
    def mode(self) -> str:
        return "training" if self.training else "inference"

    @property
    def operations(self) -> int:
        """Multiplications and additions of the products; a backward's are twice a forward's."""
        forward = 2 * self.valid_steps * (self.input + self.hidden) * GATES[self.kind] * self.hidden
        return 3 * forward if self.training else forward

    @property
    def valid_steps(self) -> int:
        return int(self.lengths().sum()) if self.ragged else self.time * self.batch

    def lengths(self) -> np.ndarray:
        """How many steps of each sequence are real, [batch]; the longest is the whole batch's."""
        drawn = np.random.default_rng(1).integers(-(-self.time // 10), self.time, self.batch, endpoint=True)
        drawn[0] = self.time
        return drawn

    def weights(self) -> dict[str, np.ndarray]:
        """torch's: weight_ih [gates × hidden, input], weight_hh [gates × hidden, hidden], and two biases."""
        random = np.random.default_rng(2)
        rows, bound = GATES[self.kind] * self.hidden, self.hidden**-0.5
        shapes = {
            "weight_ih": (rows, self.input),
            "weight_hh": (rows, self.hidden),
            "bias_ih": (rows,),
            "bias_hh": (rows,),
        }
        return {name: random.uniform(-bound, bound, shape).astype(np.float32) for name, shape in shapes.items()}

    def inputs(self) -> np.ndarray:
        """x [time, batch, input]."""
        return np.random.default_rng(3).standard_normal((self.time, self.batch, self.input), np.float32)

    def cotangent(self) -> np.ndarray:
        """The gradient of a loss with respect to the output [time, batch, hidden]: nothing of it is zero."""
        return np.random.default_rng(4).standard_normal((self.time, self.batch, self.hidden), np.float32)
