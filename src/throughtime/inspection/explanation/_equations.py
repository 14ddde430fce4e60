"""Equations that are read and computed from one expression, so that neither can say what the other does not."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

_SUM, _PRODUCT, _ATOM = 0, 1, 2
_RAISED = {"ⁱ": "i", "ᶠ": "f", "ᵍ": "g", "ᵒ": "o", "ʳ": "r", "ᶻ": "z", "ⁿ": "n", "ᶜ": "c"}
GATE = {letter: sign for sign, letter in _RAISED.items()}
"""How a gate's letter is raised: aᶠ is what the forget gate squashes."""


@dataclass(frozen=True)
class Expression:
    """The right side of an equation.

    Args:
        text: for a terminal, in Unicode.
        latex: the same.
        compute: the number it stands for, from those that its symbols stand for.
        binding: how tightly its last operation binds, for brackets.
        symbols: those that it reads.
    """

    text: str
    latex: str
    compute: Callable[[Mapping[str, Tensor]], Tensor]
    binding: int = _ATOM
    symbols: frozenset[str] = frozenset()

    def __add__(self, other: Expression) -> Expression:
        return _joined(self, other, (" + ", " + "), torch.add, _SUM)

    def __sub__(self, other: Expression) -> Expression:
        return _joined(self, other, (" − ", " - "), torch.sub, _SUM, tighter=True)

    def __rsub__(self, number: int) -> Expression:
        constant = Expression(str(number), str(number), lambda _: torch.tensor(float(number), dtype=torch.float64))
        return constant - self

    def __neg__(self) -> Expression:
        inner = self.bracketed(_PRODUCT)
        return replace(
            self, text=f"−{inner.text}", latex=f"-{inner.latex}", compute=lambda v: -self.compute(v), binding=_SUM
        )

    def __mul__(self, other: Expression) -> Expression:
        return _joined(self, other, (" ⊙ ", r" \odot "), torch.mul, _PRODUCT)

    def __truediv__(self, other: Expression) -> Expression:
        return _joined(self, other, (" ⊘ ", r" \oslash "), torch.div, _PRODUCT, tighter=True)

    def __matmul__(self, vector: Expression) -> Expression:
        return _joined(self, vector, (" ", r"\, "), lambda matrix, rows: rows @ matrix.mT, _PRODUCT, tighter=True)

    @property
    def transposed(self) -> Expression:
        """A matrix with rows and columns exchanged."""
        return self.within("", "ᵀ", "", r"^{\top}", lambda matrix: matrix.mT)

    @property
    def squared(self) -> Expression:
        """Of each element."""
        return self.bracketed(_ATOM).within("", "²", "{", "}^{2}", torch.square)

    def within(self, before: str, after: str, tex: str, end: str, operation: Callable[[Tensor], Tensor]) -> Expression:
        """A function of it: what stands before and after its text and its LaTeX, and what is done."""
        text, latex = f"{before}{self.text}{after}", f"{tex}{self.latex}{end}"
        return replace(self, text=text, latex=latex, compute=lambda v: operation(self.compute(v)), binding=_ATOM)

    def bracketed(self, binding: int) -> Expression:
        """Itself, in brackets where it binds more loosely than that."""
        if self.binding >= binding:
            return self
        return self.within("(", ")", r"\left(", r"\right)", lambda value: value)


def _joined(
    left: Expression,
    right: Expression,
    signs: tuple[str, str],
    operation: Callable[[Tensor, Tensor], Tensor],
    binding: int,
    *,
    tighter: bool = False,
) -> Expression:
    a, b = left.bracketed(binding), right.bracketed(binding + tighter)
    return Expression(
        f"{a.text}{signs[0]}{b.text}",
        f"{a.latex}{signs[1]}{b.latex}",
        lambda v: operation(left.compute(v), right.compute(v)),
        binding,
        left.symbols | right.symbols,
    )


def symbol(name: str) -> Expression:
    """A value by its name, as "W_hf" or "C_{t−1}".

    Example:
        >>> gate, memory = symbol("f_t"), symbol("C_{t−1}")
        >>> print((gate * memory).text, "  ", (gate * memory).latex)
        f_t ⊙ C_{t−1}    f_{t} \\odot C_{t-1}
        >>> (gate * memory).compute({"f_t": torch.tensor(0.5), "C_{t−1}": torch.tensor(4.0)})
        tensor(2.)
    """
    return Expression(name, latex_of(name), lambda v: v[name], symbols=frozenset({name}))


def function(name: str, latex: str, of: Callable[[Tensor], Tensor]) -> Callable[[Expression], Expression]:
    """A function of each element, under the name it is written with."""
    return lambda argument: argument.within(f"{name}(", ")", rf"{latex}\left(", r"\right)", of)


sigmoid, tanh, relu = (
    function("σ", r"\sigma", torch.sigmoid),
    function("tanh", r"\tanh", torch.tanh),
    function("relu", r"\operatorname{relu}", torch.relu),
)


def positive(argument: Expression) -> Expression:
    """1 where it is positive, 0 elsewhere."""
    return argument.within("[", " > 0]", r"\left[", r" > 0\right]", lambda value: (value > 0).double())


def over_time(delta: Expression, read: Expression | None = None) -> Expression:
    """The gradient of a weight: a term a step, summed; the sequences of the batch, side by side, are summed too."""
    if read is None:
        summed = delta.within("Σ_t ", "", r"\sum_t ", "", lambda terms: terms.sum((0, 1)))
    else:
        summed = _joined(delta, read.transposed, (" ", r"\, "), _outer, _PRODUCT).within(
            "Σ_t ", "", r"\sum_t ", "", lambda s: s
        )
    return replace(summed, binding=_SUM)


def _outer(delta: Tensor, read: Tensor) -> Tensor:
    """Σ δ rᵀ of δ [time, batch, i] and of r as `transposed` gives it, [time, feature, batch]."""
    return torch.einsum("tbi,tjb->ij", delta, read)


@dataclass(frozen=True)
class Series:
    """A value of every step."""

    name: str

    def at(self, index: str) -> Expression:
        """That of a step, "t", "t+1", or of the first, "1"."""
        return symbol(self.name + (f"_{index}" if len(index) == 1 else f"_{{{index}}}"))

    @property
    def now(self) -> Expression:
        """That of step t."""
        return self.at("t")

    @property
    def before(self) -> Expression:
        """That of the step before."""
        return self.at("t−1")

    @property
    def delta(self) -> Series:
        """The gradient of the loss with respect to it."""
        return Series(f"δ{self.name}")


def latex_of(name: str) -> str:
    r"""A symbol as LaTeX has it.

    Example:
        >>> print(latex_of("δaᶠ_{t+1}"), latex_of("∂L/∂W_hf"))
        \delta a^{f}_{t+1} \frac{\partial L}{\partial W_{hf}}
    """
    if name.startswith("∂L/∂"):
        return rf"\frac{{\partial L}}{{\partial {latex_of(name.removeprefix('∂L/∂'))}}}"
    name = re.sub(r"_(\w+)", r"_{\1}", name)
    for sign, letter in _RAISED.items():
        name = name.replace(sign, f"^{{{letter}}}")
    return name.replace("δ", r"\delta ").replace("−", "-")


@dataclass(frozen=True)
class Equation:
    """One line: what it says, and what it computes.

    Args:
        left: the symbol that it gives, "δC_t".
        right: what gives it.
        shape: of the left side.
        meaning: in a few words.
    """

    left: str
    right: Expression
    shape: tuple[str | int, ...]
    meaning: str

    @property
    def formula(self) -> str:
        """The equation, without sizes."""
        return f"{self.left} = {self.right.text}"

    @property
    def sizes(self) -> str:
        """The shape of the left side, "[batch, 64]"."""
        return spelled(self.shape)

    @property
    def latex(self) -> str:
        """The equation in LaTeX."""
        return f"{latex_of(self.left)} = {self.right.latex}"


def spelled(shape: tuple[str | int, ...]) -> str:
    """A shape as it is written, "[batch, 64]"."""
    return f"[{', '.join(map(str, shape))}]"


@dataclass(frozen=True)
class Sizes:
    """Of the layer: I features of x, H of its gates, and those of h, which a projection makes fewer."""

    input: int
    hidden: int
    output: int


@dataclass(frozen=True)
class Weight:
    """Which rows of a parameter a symbol stands for.

    Args:
        parameter: its name in a cell.
        block, blocks: which of how many equal blocks of its rows.
    """

    parameter: str
    block: int = 0
    blocks: int = 1

    def of(self, whole: Tensor) -> Tensor:
        """The rows of the parameter."""
        return whole.chunk(self.blocks)[self.block]


Watched = Mapping[tuple[str, ...], tuple[str, int, str]]
"""For symbols, side by side along the last axis, where the reference's equation computes them: in which call of
"product", "squash" or "sum", and whether it is what that is "given" or its "value"; "" is what has no symbol."""


@dataclass(frozen=True)
class Derivation:
    """All that is said of one recurrence.

    Args:
        name: of the recurrence, with its options.
        forward: in the order in which they are computed.
        backward: likewise, so that each reads only what stands above it, or step t + 1.
        weights: what the symbols of weights stand for.
        watched: where the reference computes what has a symbol.
        definitions: of functions that the lines use.
    """

    name: str
    forward: tuple[Equation, ...]
    backward: tuple[Equation, ...]
    weights: Mapping[str, Weight]
    watched: Watched
    definitions: Mapping[str, str] = field(default_factory=dict)


def total(terms: list[Expression]) -> Expression:
    """Their sum."""
    first, *rest = terms
    for term in rest:
        first = first + term
    return first
