"""Long short-term memory and its backward, with peepholes and with a projection."""

from __future__ import annotations

from collections.abc import Iterator

from ._equations import (
    Derivation,
    Equation,
    Expression,
    Series,
    Sizes,
    Watched,
    Weight,
    over_time,
    sigmoid,
    symbol,
    tanh,
)
from ._gates import ONCE, of_h, of_x, pulled, sigmoid_lines, squashed, tanh_line, weight_lines, weights_of

_NAMES = {"i": "input", "f": "forget", "g": "cell", "o": "output"}
_GATES = {
    "i": "input gate: what of the candidate is written",
    "f": "forget gate: what of the memory is kept",
    "g": "the candidate",
    "o": "output gate: what of the memory is shown",
}
_PEEPHOLES = {"i": "peephole_input", "f": "peephole_forget", "o": "peephole_output"}
_WATCHED: Watched = {
    (f"{name}_t",): ("squash", place, side)
    for place, gate in enumerate("figo")
    for name, side in ((gate, "value"), (squashed(gate).name, "given"))
}


def derive_lstm(sizes: Sizes, bias: bool, *, peephole: bool, projected: bool, memory_read: bool) -> Derivation:
    """C_t = f_t ⊙ C_{t−1} + i_t ⊙ g_t and h_t = o_t ⊙ tanh(C_t).

    Args:
        memory_read: whether something outside reads the memory, so that a gradient arrives there.
    """
    lstm = _Lstm(sizes, bias, peephole, projected, memory_read)
    weights = weights_of("ifgo", bias)
    weights |= {"W_hr": Weight("weight_hr")} if projected else {}
    weights |= {f"p_{gate}": Weight(name) for gate, name in _PEEPHOLES.items()} if peephole else {}
    options = [name for name, asked in (("peepholes", peephole), ("a projection", projected)) if asked]
    name = "LSTM" + (f" with {' and '.join(options)}" if options else "")
    watched = {**_WATCHED, **({("m_t",): ("product", 2, "given")} if projected else {})}
    return Derivation(name, tuple(lstm.forward()), tuple(lstm.backward()), weights, watched)


class _Lstm:
    def __init__(self, sizes: Sizes, bias: bool, peephole: bool, projected: bool, memory_read: bool) -> None:
        self.sizes, self.bias = sizes, bias
        self.peephole, self.projected, self.memory_read = peephole, projected, memory_read
        self.row, self.state = ("batch", sizes.hidden), ("batch", sizes.output)
        self.h, self.memory, self.m = Series("h"), Series("C"), Series("m")
        self.gates = {gate: Series(gate) for gate in "ifgo"}
        self.deltas = {gate: squashed(gate).delta for gate in "ifgo"}

    def forward(self) -> Iterator[Equation]:
        memory, m, (i, f, g, o) = self.memory, self.m, self.gates.values()
        for gate in "ifg":
            yield self._total(gate, memory.before)
            yield self._gate(gate)
        yield Equation("C_t", f.now * memory.before + i.now * g.now, self.row, "the memory: it stays in this layer")
        yield self._total("o", memory.now)
        yield self._gate("o")
        shown = o.now * tanh(memory.now)
        if self.projected:
            yield Equation("m_t", shown, self.row, "the memory as it is shown")
            shown = symbol("W_hr") @ m.now
        yield Equation("h_t", shown, self.state, "the state that the next step reads, and the output")

    def backward(self) -> Iterator[Equation]:
        h, memory, m, row = self.h, self.memory, self.m, self.row
        i, f, g, o = self.gates.values()
        e = Series("e").now + self._to_state("t+1")
        yield Equation("δh_t", e, self.state, "its own loss; and through the gates of the next step")
        shown = h.delta
        if self.projected:
            shown = m.delta
            yield Equation("δm_t", symbol("W_hr").transposed @ h.delta.now, row, "back through the projection")
        yield Equation("δo_t", shown.now * tanh(memory.now), row, "to the output gate")
        yield from sigmoid_lines({"o": o}, self.sizes)
        kept = shown.now * o.now * (1 - tanh(memory.now).squared) + self._to_memory("t+1")
        if self.peephole:
            kept = kept + symbol("p_o") * self.deltas["o"].now
        if self.memory_read:
            kept = Series("eᶜ").now + kept
        yield Equation("δC_t", kept, row, "what h_t shows of it; and from C_{t+1}, past all matrices")
        yield Equation("δi_t", memory.delta.now * g.now, row, "to the input gate")
        yield Equation("δf_t", memory.delta.now * memory.before, row, "to the forget gate")
        yield Equation("δg_t", memory.delta.now * i.now, row, "to the candidate")
        yield from sigmoid_lines({"i": i, "f": f}, self.sizes)
        yield tanh_line("g", g, self.sizes)
        to_x = pulled("i", self.deltas, "t")
        yield Equation("δx_t", to_x, ("batch", self.sizes.input), "to the input, or the layer below")
        remembered = {gate: (delta, h.before) for gate, delta in self.deltas.items()}
        yield from weight_lines(self.deltas, remembered, self.sizes, self.bias)
        if self.projected:
            right = over_time(h.delta.now, m.now)
            yield Equation("∂L/∂W_hr", right, (self.sizes.output, self.sizes.hidden), ONCE)
        yield from self._peephole_lines()
        yield Equation("δh_0", self._to_state("1"), self.state, "to the state before the first step")
        yield Equation("δC_0", self._to_memory("1"), row, "to the memory before the first step")

    def _total(self, gate: str, memory: Expression) -> Equation:
        right = of_x(gate, self.bias) + of_h(gate, self.bias)
        if self.peephole and gate in _PEEPHOLES:
            right = right + symbol(f"p_{gate}") * memory
        name = "candidate" if gate == "g" else f"{_NAMES[gate]} gate"
        return Equation(f"{squashed(gate).name}_t", right, self.row, f"pre-activation of the {name}")

    def _gate(self, gate: str) -> Equation:
        squash = tanh if gate == "g" else sigmoid
        return Equation(f"{gate}_t", squash(squashed(gate).now), self.row, _GATES[gate])

    def _to_state(self, index: str) -> Expression:
        """From a step to the h that it read."""
        return pulled("h", self.deltas, index)

    def _to_memory(self, index: str) -> Expression:
        """From a step to the C that it read."""
        back = self.gates["f"].at(index) * self.memory.delta.at(index)
        if not self.peephole:
            return back
        seen = [symbol(f"p_{gate}") * self.deltas[gate].at(index) for gate in "if"]
        return back + seen[0] + seen[1]

    def _peephole_lines(self) -> Iterator[Equation]:
        if self.peephole:
            for gate in _PEEPHOLES:
                read = self.memory.now if gate == "o" else self.memory.before
                right = over_time(self.deltas[gate].now * read)
                yield Equation(f"∂L/∂p_{gate}", right, (self.sizes.hidden,), "used at every step, so a sum over steps")
