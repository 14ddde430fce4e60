"""The gated recurrent unit and its backward, in both forms of its reset."""

from __future__ import annotations

from ._equations import Derivation, Equation, Expression, Series, Sizes, Watched, sigmoid, symbol, tanh
from ._gates import of_h, of_x, pulled, sigmoid_lines, squashed, tanh_line, weight_lines, weights_of

_WATCHED: Watched = {
    ("aʳ_t", "aᶻ_t"): ("squash", 0, "given"),
    ("r_t", "z_t"): ("squash", 0, "value"),
    ("aⁿ_t",): ("squash", 1, "given"),
    ("n_t",): ("squash", 1, "value"),
}
_AFTER: Watched = {**_WATCHED, ("", "", "q_t"): ("product", 1, "value")}
_BEFORE: Watched = {**_WATCHED, ("p_t",): ("product", 2, "given")}


def derive_gru(sizes: Sizes, bias: bool, reset_after: bool) -> Derivation:
    """h_t = (1 − z_t) ⊙ n_t + z_t ⊙ h_{t−1}; of torch, where r_t multiplies W_hn h_{t−1} + b_hn, or of the paper."""
    h, e, r, z, n, q, p = (Series(name) for name in "herznqp")
    a_n, row = squashed("n"), ("batch", sizes.hidden)
    if reset_after:
        inner = Equation("q_t", of_h("n", bias), row, "what r_t lets through, or not")
        candidate = of_x("n", bias) + r.now * q.now
    else:
        inner = Equation("p_t", r.now * h.before, row, "the state, so far as r_t lets it through")
        candidate = of_x("n", bias) + of_h("n", bias, p.now)
    forward = (
        *(Equation(f"{squashed(g).name}_t", of_x(g, bias) + of_h(g, bias), row, m) for g, m in _SQUASHED.items()),
        Equation("r_t", sigmoid(squashed("r").now), row, "reset gate: what of the old state the new one sees"),
        Equation("z_t", sigmoid(squashed("z").now), row, "update gate: what of the old state is kept"),
        inner,
        Equation("aⁿ_t", candidate, row, "pre-activation of the candidate"),
        Equation("n_t", tanh(a_n.now), row, "the candidate"),
        Equation("h_t", (1 - z.now) * n.now + z.now * h.before, row, "the state, and the output"),
    )

    def back(index: str) -> Expression:
        """From a step to the state that it read."""
        to_gates = z.at(index) * h.delta.at(index) + pulled("h", {g: squashed(g).delta for g in "rz"}, index)
        if reset_after:
            return to_gates + symbol("W_hn").transposed @ q.delta.at(index)
        return to_gates + r.at(index) * p.delta.at(index)

    if reset_after:
        through = (
            Equation("δq_t", a_n.delta.now * r.now, row, "to what r_t multiplies"),
            Equation("δr_t", a_n.delta.now * q.now, row, "to the reset gate"),
        )
    else:
        through = (
            Equation("δp_t", symbol("W_hn").transposed @ a_n.delta.now, row, "to what r_t multiplies"),
            Equation("δr_t", p.delta.now * h.before, row, "to the reset gate"),
        )
    deltas = {g: squashed(g).delta for g in "rzn"}
    remembered = {g: (deltas[g], h.before) for g in "rz"}
    remembered["n"] = (q.delta, h.before) if reset_after else (a_n.delta, p.now)
    backward = (
        Equation("δh_t", e.now + back("t+1"), row, "its own loss; and by z past all matrices, and through them"),
        Equation("δn_t", h.delta.now * (1 - z.now), row, "to the candidate"),
        Equation("δz_t", h.delta.now * (h.before - n.now), row, "to the update gate"),
        tanh_line("n", n, sizes),
        *through,
        *sigmoid_lines({"r": r, "z": z}, sizes),
        Equation("δx_t", pulled("i", deltas, "t"), ("batch", sizes.input), "to the input, or the layer below"),
        *weight_lines(deltas, remembered, sizes, bias),
        Equation("δh_0", back("1"), row, "to the state before the first step"),
    )
    name = "GRU, reset after the product" if reset_after else "GRU, reset before the product"
    return Derivation(name, forward, backward, weights_of("rzn", bias), _AFTER if reset_after else _BEFORE)


_SQUASHED = {"r": "pre-activation of the reset gate", "z": "pre-activation of the update gate"}
