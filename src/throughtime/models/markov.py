"""The last symbols as the state: an n-gram model, counted instead of trained."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.distributions import Categorical

from .._errors import ArtifactError, ConfigurationError, DataError, ShapeError
from .._state import map_state
from .._types import Lengths, Resets, State
from ..nn._checks import check_lengths, check_resets
from ..nn.contract import batch_axes
from ._count_table import CountTable
from ._ngrams import count_ngrams, discounts
from .ancestral import ancestral
from .contract import Density, Streaming
from .decoding import Decoding
from .heads import checks
from .parameter_count import ParameterCount

_AS_IT_IS = Decoding()
_PROBABILITIES_AT_ONCE = 1 << 21


class Markov(nn.Module, Streaming, Density):
    """P(x_t | x_<t) = P(x_t | x_{t−order} … x_{t−1}), from counts, by interpolated Kneser-Ney smoothing.

    With h the context, h′ the context without its oldest symbol, and w a symbol,

        P(w | h) = (c(hw) − D) / c(h•) + γ(h) P(w | h′),   c(h•) = Σ_w c(hw),   γ(h) = Σ_w D / c(h•),

    the first term 0 for a w that never followed h, and P(w | h) = P(w | h′) for an h that never came. For a context of
    `order` symbols, c(hw) is how often hw came; for shorter ones it is how many different symbols came before hw, the
    beginning of a sequence counting as one of them. Below the empty context lies the uniform distribution, so that
    every symbol has some probability. Before `fit`, that is all there is.

    At the beginning of a sequence the context is as long as what there is: the first symbol is predicted from the empty
    context, the next from a context of one symbol, and so on, by the levels for shorter contexts alone.

    Its state is `{"symbols": [batch, order], "known": [batch]}`, integers: the last symbols, the latest at the end, and
    how many of them are real; the others are 0. Probabilities are float64, and follow `.float()`.

    Args:
        vocabulary: how many symbols there are.
        order: how many of the last symbols are read.

    Raises:
        ConfigurationError: where an n-gram cannot be numbered in 63 bits.
        DataError: for symbols outside of the vocabulary.
        ShapeError: for inputs that are not [time, batch] integers.

    Example:
        >>> model = Markov(vocabulary=3, order=1).fit([torch.tensor([0, 1, 0, 2, 0, 1])], modified=False)
        >>> distribution, state = model(torch.tensor([[0]]))
        >>> distribution.probs
        tensor([[[0.2400, 0.5467, 0.2133]]], dtype=torch.float64)

    References:
        Kneser and Ney, "Improved backing-off for m-gram language modeling", ICASSP 1995,
        doi:10.1109/ICASSP.1995.479394; Chen and Goodman, "An empirical study of smoothing techniques for language
        modeling", Computer Speech and Language 1999, doi:10.1006/csla.1999.0128 (interpolated, modified).
    """

    streams = True
    settings: Tensor

    def __init__(self, vocabulary: int, order: int) -> None:
        super().__init__()
        if vocabulary < 1 or order < 0:
            raise ConfigurationError(f"Markov({vocabulary}, {order}): expected at least 1 symbol, and an order ≥ 0")
        if vocabulary ** (min(order, 63) + 1) >= 1 << 63:  # no power of a huge order is taken
            fits = max(k for k in range(-1, 63) if vocabulary ** (k + 1) < 1 << 63)
            raise ConfigurationError(
                f"Markov({vocabulary}, {order}): {vocabulary}^{order + 1} n-grams cannot be numbered in 63 bits; "
                f"with this vocabulary the order is at most {fits}"
            )
        self.size = vocabulary
        self.order = order
        self.tables = nn.ModuleList(CountTable(vocabulary) for _ in range(order + 1))
        self.register_buffer("settings", torch.tensor([vocabulary, order]))

    def fit(self, pieces: Iterable[Any], *, separate: bool = False, modified: bool = True) -> Markov:
        """Count the n-grams of a text, in place of what was counted before; returns the model.

        The pieces are read once, one after the other, and not kept: memory grows with the number of different n-grams.

        Args:
            pieces: integer arrays [time], memory maps and tensors among them: the parts of one sequence.
            separate: whether each piece is a sequence of its own instead.
            modified: whether each level has a discount for counts of 1, of 2, and of 3 or more (Chen and Goodman),
                D_i = i − (i + 1) Y n_{i+1} / n_i, with n_i the number of n-grams counted i times and
                Y = n_1 / (n_1 + 2 n_2); else there is one, Y. Where a text is too small to tell (one of n_1, n_2
                and, if modified, n_3 is 0, or a D is not positive), they are ½, 1 and 3/2, or ½.

        Raises:
            DataError: for other than integers from 0 to vocabulary − 1, or no symbol at all.
            ShapeError: for a piece that is not one-dimensional.
        """
        levels = count_ngrams(pieces, self.size, self.order, separate)
        for table, (ngrams, counts) in zip(self._levels, levels, strict=True):
            table.fill(ngrams, counts, discounts(counts, modified))
        return self

    def forward(
        self, inputs: Tensor, state: State = None, *, lengths: Lengths | None = None, resets: Resets | None = None
    ) -> tuple[Categorical, State]:
        """The distribution of the symbol after each of inputs [time, batch], and the state after the last one.

        Args:
            state: the state before the first step.
            lengths: integers [batch]; past them is the distribution of the empty context, and the state is each
                sequence's own last.
            resets: bool [time, batch]; what came before these steps is forgotten.
        """
        timeline, known, state = self._read(inputs, state, lengths, resets)
        return self._distribution(timeline[1:], known), state

    def advance(
        self, inputs: Tensor, state: State = None, *, lengths: Lengths | None = None, resets: Resets | None = None
    ) -> State:
        """The state after the inputs, as `forward` gives it, without the distributions."""
        return self._read(inputs, state, lengths, resets)[2]

    def log_prob(self, x: Tensor, *, lengths: Lengths | None = None) -> Tensor:
        """ln P(x_t | x_<t) for whole sequences, [time, batch]; summed over time, ln P(x). Past a length it is zero."""
        x = self._checked(x, lengths)
        known = torch.arange(len(x), device=x.device).clamp(max=self.order)[:, None].expand_as(x)
        timeline = torch.cat([x.new_zeros(self.order, x.shape[1]), x])
        probability = self._uniform(x.numel())
        for table, contexts in self._contexts(timeline, known):
            table.interpolate(probability, contexts, x.flatten())
        values = probability.log().view_as(x)
        return values if lengths is None else torch.where(_steps(x) < lengths, values, 0)

    def score(self, x: Tensor, *, lengths: Lengths | None = None) -> Tensor:
        """The surprise −ln P(x_t | x_<t) of each step of whole sequences, [time, batch]; as `log_prob`."""
        return -self.log_prob(x, lengths=lengths)

    def sample(
        self,
        steps: int,
        first: Tensor | None = None,
        state: State = None,
        *,
        batch_size: int = 1,
        decoding: Decoding = _AS_IT_IS,
    ) -> Tensor:
        """Draw x_1 … x_steps one after the other, each fed back for the next, [steps, batch].

        Args:
            steps: how many symbols to draw.
            first: the symbols before them, [batch]; `None` draws right after `state`.
            state: the state before `first`; `None` is the beginning of a sequence.
            batch_size: how many sequences, where neither `first` nor `state` is given.
            decoding: how each symbol is drawn.

        Raises:
            ConfigurationError: for less than one step.
        """

        def start(_: Tensor | None) -> tuple[Categorical, State]:
            begun = self.initial_state(batch_size) if state is None else state
            self._check_state(begun, len(begun["known"]))
            return self._distribution(begun["symbols"].T, begun["known"][None]), begun

        return ancestral(self, start, steps, first, state, decoding=decoding)

    def initial_state(self, batch_size: int, *, device: Any = None) -> State:
        """No symbol is known."""
        device = self.settings.device if device is None else device
        return {
            "symbols": torch.zeros(batch_size, self.order, dtype=torch.int64, device=device),
            "known": torch.zeros(batch_size, dtype=torch.int64, device=device),
        }

    def repeat_state(self, state: State, times: int) -> State:
        """A state for `times` copies of each sequence, copies side by side, as sampling many futures needs."""
        return map_state(lambda part, axis: part.repeat_interleave(times, dim=axis), state, batch_axes(self))

    @property
    def parameter_count(self) -> int:
        """How many counts are kept; see `explain`."""
        return self.explain().count

    def explain(self) -> ParameterCount:
        """How many counts are kept and why; the discounts follow from them."""
        full = self.size**self.order * (self.size - 1)
        return ParameterCount(
            f"distinct n-grams of 1 to {self.order + 1} symbols",
            sum(len(table.ngrams) for table in self._levels),
            f"one count for each that was seen; without smoothing, {self.size}^{self.order} contexts with "
            f"{self.size - 1} free probabilities each would be {full:,}",
        )

    def extra_repr(self) -> str:
        """What the module's representation shows."""
        return f"{self.size}, order={self.order}"

    @property
    def _levels(self) -> list[CountTable]:
        """The tables, that of the empty context first."""
        return cast("list[CountTable]", list(self.tables))

    def _read(
        self, inputs: Tensor, state: State, lengths: Tensor | None, resets: Tensor | None
    ) -> tuple[Tensor, Tensor, State]:
        """The symbols before and of the inputs, how many are known after each step, and the state after the last."""
        x = self._checked(inputs, lengths)
        time, batch = x.shape
        state = self.initial_state(batch, device=x.device) if state is None else state
        self._check_state(state, batch)
        steps = _steps(x)
        begun = -state["known"].expand_as(x)  # at which step each sequence began
        if resets is not None:
            check_resets("Markov", resets, time, batch, x.device)
            begun = torch.where(resets, steps, begun).cummax(0).values
        known = (steps + 1 - begun).clamp(max=self.order)
        ends = torch.full((batch,), time, device=x.device) if lengths is None else lengths.long()
        timeline = torch.cat([state["symbols"].T, x])
        places = torch.arange(self.order, device=x.device)[:, None]
        after = torch.cat([state["known"][None], known]).gather(0, ends[None])
        symbols = timeline.gather(0, ends + places).masked_fill(places < self.order - after, 0)
        known = known.masked_fill(steps >= ends, 0)
        return timeline, known, {"symbols": symbols.T, "known": after[0]}

    def _contexts(self, timeline: Tensor, known: Tensor) -> Iterator[tuple[CountTable, Tensor]]:
        """Each table, shortest context first, with the codes of the contexts, −1 where they are longer than is known.

        The context of step t ends at row t + order − 1 of the timeline.
        """
        contexts = torch.zeros_like(known)
        for length, table in enumerate(self._levels):
            yield table, torch.where(known >= length, contexts, -1).flatten()
            if length < self.order:
                first = self.order - 1 - length
                contexts = contexts + timeline[first : first + len(known)] * self.size**length

    def _distribution(self, timeline: Tensor, known: Tensor) -> Categorical:
        """Of the symbol after each context, a part of the steps at a time."""
        time, batch = known.shape
        logits = self._uniform(time, batch, self.size)
        stride = max(1, _PROBABILITIES_AT_ONCE // max(1, batch * self.size))
        for start in range(0, time, stride):
            part = logits[start : start + stride].view(-1, self.size)
            for table, contexts in self._contexts(timeline[start:], known[start : start + stride]):
                table.interpolate_all(part, contexts)
            part.log_()
        return Categorical(logits=logits, validate_args=checks(logits))

    def _uniform(self, *shape: int) -> Tensor:
        return self._levels[0].discounts.new_full(shape, 1 / self.size)

    def _checked(self, inputs: Tensor, lengths: Tensor | None) -> Tensor:
        """The inputs as int64, 0 past the lengths."""
        if inputs.dim() != 2 or inputs.is_floating_point() or inputs.is_complex() or inputs.dtype == torch.bool:
            raise ShapeError(
                f"Markov got {inputs.dtype} {list(inputs.shape)}, expected integers [time, batch]; "
                "for one sequence add a batch axis: unsqueeze(1)"
            )
        x = inputs.long()
        if lengths is not None:
            check_lengths("Markov", lengths, len(x), x.shape[1], x.device)
            x = x.masked_fill(_steps(x) >= lengths, 0)
        wrong = x[(x < 0) | (x >= self.size)]
        if len(wrong):
            raise DataError(f"Markov got the symbol {int(wrong[0])}, expected 0 to {self.size - 1}, the vocabulary")
        return x

    def _check_state(self, state: State, batch: int) -> None:
        if not isinstance(state, dict) or set(state) != {"symbols", "known"}:
            raise ShapeError(f"Markov got a state that is a {type(state).__name__} of another model; pass on its own")
        given, wanted = [list(state[name].shape) for name in ("symbols", "known")], [[batch, self.order], [batch]]
        if given != wanted:
            raise ShapeError(f"Markov got a state of {given[0]} symbols and {given[1]} known, expected {wanted}")

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any) -> None:
        given = state_dict.get(prefix + "settings")
        if given is not None and given.tolist() != self.settings.tolist():
            vocabulary, order = given.tolist()
            wanted = f"Markov({self.extra_repr()})"
            raise ArtifactError(f"the tables are those of Markov({vocabulary}, order={order}), not {wanted}")
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


def _steps(x: Tensor) -> Tensor:
    return torch.arange(len(x), device=x.device)[:, None]
