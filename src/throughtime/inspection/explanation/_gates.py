"""What the equations of gated recurrences share: a block of rows a gate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ._equations import GATE, Equation, Expression, Series, Sizes, Weight, over_time, symbol, total

ONCE = "one matrix, used T times: its gradient is a sum of T terms"


def squashed(gate: str) -> Series:
    """aᶠ: what a gate squashes."""
    return Series(f"a{GATE[gate]}")


def of_x(gate: str, bias: bool) -> Expression:
    """W_if x_t + b_if."""
    product = symbol(f"W_i{gate}") @ Series("x").now
    return product + symbol(f"b_i{gate}") if bias else product


def of_h(gate: str, bias: bool, read: Expression | None = None) -> Expression:
    """W_hf h_{t−1} + b_hf."""
    product = symbol(f"W_h{gate}") @ (Series("h").before if read is None else read)
    return product + symbol(f"b_h{gate}") if bias else product


def pulled(side: str, deltas: Mapping[str, Series], index: str) -> Expression:
    """W_hfᵀ δaᶠ and so on, summed over gates: what goes back to x ("i") or to h ("h")."""
    return total([symbol(f"W_{side}{gate}").transposed @ delta.at(index) for gate, delta in deltas.items()])


def sigmoid_lines(gates: Mapping[str, Series], sizes: Sizes) -> list[Equation]:
    """δaᶠ_t = δf_t ⊙ f_t ⊙ (1 − f_t) for each."""
    return [
        Equation(
            f"δ{squashed(letter).name}_t",
            gate.delta.now * gate.now * (1 - gate.now),
            ("batch", sizes.hidden),
            f"through the sigmoid of {gate.name}",
        )
        for letter, gate in gates.items()
    ]


def tanh_line(letter: str, gate: Series, sizes: Sizes) -> Equation:
    """δaⁿ_t = δn_t ⊙ (1 − n_t²)."""
    right = gate.delta.now * (1 - gate.now.squared)
    return Equation(f"δ{squashed(letter).name}_t", right, ("batch", sizes.hidden), f"through the tanh of {gate.name}")


def weight_lines(
    from_x: Mapping[str, Series], from_h: Mapping[str, tuple[Series, Expression]], sizes: Sizes, bias: bool
) -> list[Equation]:
    """The gradients of each gate's weights and biases.

    Args:
        from_x: for each gate the δ of what its weights of x are part of.
        from_h: that of its weights of h, and what these multiply.
    """
    x = Series("x").now
    read = [
        Equation(f"∂L/∂W_i{gate}", over_time(delta.now, x), (sizes.hidden, sizes.input), ONCE)
        for gate, delta in from_x.items()
    ]
    remembered = [
        Equation(f"∂L/∂W_h{gate}", over_time(delta.now, seen), (sizes.hidden, sizes.output), ONCE)
        for gate, (delta, seen) in from_h.items()
    ]
    if not bias:
        return read + remembered
    added = {f"b_i{gate}": delta for gate, delta in from_x.items()}
    added |= {f"b_h{gate}": delta for gate, (delta, _) in from_h.items()}
    return read + remembered + bias_lines(added, sizes)


def bias_lines(added: Mapping[str, Series], sizes: Sizes) -> list[Equation]:
    """The gradients of biases, each by the δ of what it is added to."""
    meaning = "added at every step, so a sum over steps"
    return [Equation(f"∂L/∂{name}", over_time(delta.now), (sizes.hidden,), meaning) for name, delta in added.items()]


def weights_of(gates: Iterable[str], bias: bool) -> dict[str, Weight]:
    """The blocks of torch's parameters, in their order."""
    letters = list(gates)
    kinds = {"W": "weight"} | ({"b": "bias"} if bias else {})
    return {
        f"{kind}_{side}{gate}": Weight(f"{name}_{side}h", block, len(letters))
        for kind, name in kinds.items()
        for side in "ih"
        for block, gate in enumerate(letters)
    }
