"""What every model of a sequence given another one is: an encoder, a decoder, and the chain rule."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn
from torch.distributions import Categorical

from ..._errors import ConfigurationError, ShapeError
from ..._state import map_state
from ..._types import Lengths, State
from ...nn._checks import check_lengths
from ...nn.contract import batch_axes
from ..contract import Density
from ..decoding import Decoding
from .beam import beam_search

_AS_IT_IS = Decoding()


class Conditional(nn.Module, Density):
    """P(target | source) = ∏ P(y_t | y_<t, source), both of symbols, time first, each of its own length.

    Args:
        source_size: how many symbols the source is made of.
        target_size: how many symbols the target is made of, the end symbol among them.
        end: the symbol at which a target ends; `None` where targets are cut by their number of steps alone.

    Raises:
        ConfigurationError: for settings out of range.

    A subclass has a `decoder`, a layer that streams, and says how to encode and how to decode.
    """

    streams: ClassVar[bool] = False

    def __init__(self, source_size: int, target_size: int, end: int | None) -> None:
        super().__init__()
        if source_size < 1 or target_size < 1:
            raise ConfigurationError(f"{source_size} source and {target_size} target symbols: expected at least 1 each")
        if end is not None and not 0 <= end < target_size:
            raise ConfigurationError(f"end={end} is none of the target's symbols 0 … {target_size - 1}")
        self.source_size = source_size
        self.target_size = target_size
        self.end = end

    @abstractmethod
    def encode(self, source: Tensor, lengths: Lengths | None = None) -> tuple[State, State]:
        """What the decoder looks at, batch first in each of its tensors, and its state before the first step."""

    @abstractmethod
    def decode(self, previous: Tensor, memory: State, state: State) -> tuple[Categorical, State]:
        """The distribution of each y_t; `previous` [time, batch] holds y_{t−1}, and before y_1 `target_size`."""

    def forward(
        self,
        target: Tensor,
        source: Tensor,
        *,
        target_lengths: Lengths | None = None,
        source_lengths: Lengths | None = None,
    ) -> Categorical:
        """The distribution of each y_t given y_<t and the source, of batch shape [time, batch]; see `log_prob`."""
        target = self._symbols("target", target, self.target_size, target_lengths)
        memory, state = self._encoded(source, source_lengths)
        if target.shape[1] != source.shape[1]:
            raise ShapeError(f"targets are {list(target.shape)}, sources {list(source.shape)}: they must be as many")
        previous = torch.cat([self._begin(target.shape[1], target.device), target])[:-1]
        return self.decode(previous, memory, state)[0]

    def log_prob(
        self,
        target: Tensor,
        source: Tensor,
        *,
        target_lengths: Lengths | None = None,
        source_lengths: Lengths | None = None,
    ) -> Tensor:
        """log P(y_t | y_<t, source) in nats, [time, batch]; summed over time, log P(target | source).

        Args:
            target: symbols [time, batch], with the end symbol where the model has one.
            source: symbols [source time, batch].
            target_lengths: integers [batch], the end symbol counted; past them the result is zero.
            source_lengths: integers [batch]; what stands past the lengths, of whatever value, is not read.

        Raises:
            ShapeError: where the tensors are not such, or not of one batch.
        """
        distribution = self(target, source, target_lengths=target_lengths, source_lengths=source_lengths)
        return _cleared(distribution.log_prob(_cleared(target, target_lengths)), target_lengths)

    @torch.no_grad()
    def sample(
        self,
        source: Tensor,
        steps: int,
        *,
        source_lengths: Lengths | None = None,
        decoding: Decoding = _AS_IT_IS,
    ) -> tuple[Tensor, Tensor]:
        """Draw a target for each source, one symbol after the other, until it ends.

        Args:
            source: symbols [source time, batch].
            steps: how many symbols at most.
            source_lengths: integers [batch].
            decoding: how each symbol is drawn; `Decoding(temperature=0)` takes the likeliest.

        Returns:
            The targets [time, batch], of at most `steps` rows, filled up with the end symbol; and their lengths
            [batch], the end symbol counted.

        Raises:
            ConfigurationError: for less than one step.
            ShapeError: as `log_prob`.
        """
        _check_steps(steps)
        memory, state = self._encoded(source, source_lengths)
        symbols, rows = self._begin(source.shape[1], source.device)[0], []
        lengths = torch.zeros_like(symbols)
        done = torch.zeros_like(symbols, dtype=torch.bool)
        for _ in range(steps):
            distribution, state = self.decode(symbols[None], memory, state)
            symbols = decoding.draw(distribution)[0]
            lengths += ~done
            if self.end is not None:
                symbols = symbols.masked_fill(done, self.end)
                done = symbols == self.end
            rows.append(symbols)
            if done.all():
                break
        return torch.stack(rows), lengths

    @torch.no_grad()
    def search(
        self, source: Tensor, steps: int, *, beams: int = 4, source_lengths: Lengths | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The likeliest target of each source that a search through `beams` unfinished ones at a time finds.

        One beam takes the likeliest symbol at each step; with as many beams as there are targets the search is exact.

        Returns:
            The targets [time, batch] and their lengths [batch], as of `sample`, and log P(target | source) [batch].

        Raises:
            ConfigurationError: for less than one step or beam.
            ShapeError: as `log_prob`.
        """
        _check_steps(steps)
        if beams < 1:
            raise ConfigurationError(f"beams={beams}: expected at least 1")
        memory, state = self._encoded(source, source_lengths)
        memory = map_state(lambda part: part.repeat_interleave(beams, 0), memory)
        axes = batch_axes(cast(nn.Module, self.decoder))
        state = map_state(lambda part, axis: part.repeat_interleave(beams, axis), state, axes)
        first = self._begin(source.shape[1] * beams, source.device)[0].unflatten(0, (-1, beams))
        return beam_search(lambda *given: self.decode(given[0], memory, given[1]), first, state, axes, steps, self.end)

    def _encoded(self, source: Tensor, lengths: Tensor | None) -> tuple[State, State]:
        return self.encode(self._symbols("source", source, self.source_size, lengths), lengths)

    def _begin(self, batch: int, device: torch.device) -> Tensor:
        return torch.full((1, batch), self.target_size, device=device)

    def _symbols(self, name: str, given: Tensor, size: int, lengths: Any) -> Tensor:
        """What was given, refused where it is no sequence of symbols, its padding cleared."""
        model = type(self).__name__
        if given.dim() != 2 or given.is_floating_point() or given.dtype == torch.bool:
            raise ShapeError(
                f"{model} got a {name} {list(given.shape)} of {given.dtype}, expected integers [time, batch]; for one "
                "sequence add a batch axis: unsqueeze(1)"
            )
        if lengths is not None:
            check_lengths(f"{model}'s {name}", lengths, len(given), given.shape[1], given.device)
        symbols = _cleared(given, lengths)
        if symbols.numel():
            least, most = (int(bound) for bound in torch.aminmax(symbols))
            if least < 0 or most >= size:
                raise ShapeError(
                    f"{model} got a {name} with the symbol {least if least < 0 else most}, expected 0 … {size - 1}; "
                    "what is padding is told by its lengths"
                )
        return symbols


def _cleared(values: Tensor, lengths: Tensor | None) -> Tensor:
    if lengths is None:
        return values
    return values.masked_fill(torch.arange(len(values), device=values.device)[:, None] >= lengths, 0)


def _check_steps(steps: int) -> None:
    if steps < 1:
        raise ConfigurationError(f"steps={steps}: at least one symbol is drawn")
