"""minGRU and minLSTM and their backward: no matrix stands between one state and the next."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ._equations import (
    Derivation,
    Equation,
    Expression,
    Series,
    Sizes,
    Watched,
    Weight,
    function,
    over_time,
    sigmoid,
    symbol,
    total,
)
from ._gates import ONCE, bias_lines, squashed

_DEFINITIONS = {
    "g(a)": "a + ½ where a ≥ 0, σ(a) below: positive, as the paper has it",
    "g′(a)": "1 where a > 0, σ(a) (1 − σ(a)) elsewhere",
}


def _kinked(a: Tensor) -> Tensor:
    return torch.where(a >= 0, a + 0.5, torch.sigmoid(a))


def _kinked_slope(a: Tensor) -> Tensor:
    below = torch.sigmoid(a)
    return torch.where(a > 0, 1.0, below * (1 - below))


_g, _slope = function("g", "g", _kinked), function("g′", "g'", _kinked_slope)
_h, _e, _n, _share = Series("h"), Series("e"), Series("n"), Series("u")
_a_n = squashed("n")


def derive_min_gru(sizes: Sizes, bias: bool) -> Derivation:
    """h_t = (1 − z_t) ⊙ h_{t−1} + z_t ⊙ n_t, neither of which reads h."""
    row, z = ("batch", sizes.hidden), Series("z")
    update = [Equation("z_t", sigmoid(squashed("z").now), row, "update gate: what of the state is replaced")]
    watched: Watched = {
        ("aᶻ_t", "aⁿ_t"): ("product", 0, "value"),
        ("z_t",): ("squash", 0, "value"),
        ("n_t",): ("sum", 0, "value"),
    }
    back = [Equation("δaᶻ_t", z.delta.now * z.now * (1 - z.now), row, "through the sigmoid of z")]
    return _derivation("MinGRU", "zn", z, update, back, watched, sizes, bias)


def derive_min_lstm(sizes: Sizes, bias: bool) -> Derivation:
    """h_t = (1 − u_t) ⊙ h_{t−1} + u_t ⊙ n_t with u_t = i_t / (i_t + f_t)."""
    row, u = ("batch", sizes.hidden), _share
    i, f = (sigmoid(squashed(gate).now) for gate in "if")
    share = [Equation("u_t", i / (i + f), row, "the input gate's share of both: 1 − u_t is the forget gate's")]
    watched: Watched = {
        ("aⁱ_t", "aᶠ_t", "aⁿ_t"): ("product", 0, "value"),
        ("u_t",): ("squash", 0, "value"),
        ("n_t",): ("sum", 0, "value"),
    }
    inner = u.delta.now * u.now * (1 - u.now)
    back = [
        Equation("δaⁱ_t", inner * (1 - i), row, "through the quotient and the sigmoid of the input gate"),
        Equation("δaᶠ_t", -(inner * (1 - f)), row, "through the quotient and the sigmoid of the forget gate"),
    ]
    found = _derivation("MinLSTM", "ifn", u, share, back, watched, sizes, bias)
    return replace(found, definitions={"a ⊘ b": "the quotient, element by element", **_DEFINITIONS})


def _derivation(
    name: str,
    gates: str,
    update: Series,
    share: list[Equation],
    back: list[Equation],
    watched: Watched,
    sizes: Sizes,
    bias: bool,
) -> Derivation:
    row, x = ("batch", sizes.hidden), Series("x").now
    letters = {gate: "h" if gate == "n" else gate for gate in gates}  # the paper writes W_h for the candidate's

    def kept(index: str) -> Expression:
        return (1 - update.at(index)) * _h.delta.at(index)

    def product(gate: str) -> Expression:
        letter = letters[gate]
        return symbol(f"W_{letter}") @ x + symbol(f"b_{letter}") if bias else symbol(f"W_{letter}") @ x

    forward = (
        *(Equation(f"{squashed(gate).name}_t", product(gate), row, _OF[gate]) for gate in gates),
        *share,
        Equation("n_t", _g(_a_n.now), row, "the candidate"),
        Equation("h_t", (1 - update.now) * _h.before + update.now * _n.now, row, "the state, and the output"),
    )
    deltas = {letter: squashed(gate).delta for gate, letter in letters.items()}
    shape = (sizes.hidden, sizes.input)
    backward = (
        Equation("δh_t", _e.now + kept("t+1"), row, "its own loss; and from the next step past all matrices"),
        Equation(f"δ{update.name}_t", _h.delta.now * (_n.now - _h.before), row, "to what is replaced"),
        Equation("δn_t", _h.delta.now * update.now, row, "to the candidate"),
        *back,
        Equation("δaⁿ_t", _n.delta.now * _slope(_a_n.now), row, "through g"),
        Equation(
            "δx_t",
            total([symbol(f"W_{letter}").transposed @ delta.now for letter, delta in deltas.items()]),
            ("batch", sizes.input),
            "to the input, or the layer below",
        ),
        *(Equation(f"∂L/∂W_{letter}", over_time(delta.now, x), shape, ONCE) for letter, delta in deltas.items()),
        *bias_lines({f"b_{letter}": delta for letter, delta in deltas.items()} if bias else {}, sizes),
        Equation("δh_0", kept("1"), row, "to the state before the first step"),
    )
    blocks = len(gates)
    weights = {f"W_{letter}": Weight("gates.weight", at, blocks) for at, letter in enumerate(deltas)}
    weights |= {f"b_{letter}": Weight("gates.bias", at, blocks) for at, letter in enumerate(deltas)} if bias else {}
    return Derivation(name, forward, backward, weights, watched, _DEFINITIONS)


_OF = {
    "z": "pre-activation of the update gate",
    "i": "pre-activation of the input gate",
    "f": "pre-activation of the forget gate",
    "n": "pre-activation of the candidate",
}
