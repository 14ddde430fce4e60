"""The simple recurrence and its backward."""

from __future__ import annotations

from ._equations import Derivation, Equation, Series, Sizes, Weight, over_time, positive, relu, symbol, tanh
from ._gates import ONCE, bias_lines


def derive_rnn(sizes: Sizes, nonlinearity: str, bias: bool) -> Derivation:
    """h_t = tanh(a_t), or relu of it."""
    x, h, a, e = (Series(name) for name in "xhae")
    w_ih, w_hh, b_ih, b_hh = (symbol(name) for name in ("W_ih", "W_hh", "b_ih", "b_hh"))
    read, remembered = w_ih @ x.now, w_hh @ h.before
    squash, slope = (relu, positive(a.now)) if nonlinearity == "relu" else (tanh, 1 - h.now.squared)
    row, back = ("batch", sizes.hidden), w_hh.transposed @ a.delta.at("t+1")
    forward = (
        Equation("a_t", read + b_ih + remembered + b_hh if bias else read + remembered, row, "pre-activation"),
        Equation("h_t", squash(a.now), row, "the state, and the output"),
    )
    backward = (
        Equation("δh_t", e.now + back, row, "what its own loss sends, and the next step"),
        Equation("δa_t", h.delta.now * slope, row, f"through the {nonlinearity}"),
        Equation("δx_t", w_ih.transposed @ a.delta.now, ("batch", sizes.input), "to the input, or the layer below"),
        Equation("∂L/∂W_ih", over_time(a.delta.now, x.now), (sizes.hidden, sizes.input), ONCE),
        Equation("∂L/∂W_hh", over_time(a.delta.now, h.before), (sizes.hidden, sizes.hidden), ONCE),
        *bias_lines({"b_ih": a.delta, "b_hh": a.delta} if bias else {}, sizes),
        Equation("δh_0", w_hh.transposed @ a.delta.at("1"), row, "to the state before the first step"),
    )
    weights = {"W_ih": Weight("weight_ih"), "W_hh": Weight("weight_hh")}
    weights |= {"b_ih": Weight("bias_ih"), "b_hh": Weight("bias_hh")} if bias else {}
    return Derivation(f"RNN, {nonlinearity}", forward, backward, weights, {("a_t",): ("squash", 0, "given")})
