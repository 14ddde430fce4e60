"""A whole model of sequences: what goes in, what remembers, what comes out."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from .._errors import ConfigurationError, ShapeError
from .._state import map_state
from .._types import Lengths, Resets, State
from ..nn.contract import accepted, batch_axes, initial_state, streams
from ._width import input_width
from .ancestral import ancestral
from .contract import Density, Streaming
from .decoding import Decoding
from .heads import Head

_AS_IT_IS = Decoding()


class SequenceModel(nn.Module, Streaming, Density):
    """P(x_1 … x_T) = ∏ P(x_t | x_<t), the past summarised by a state.

    Inputs are [time, batch] indices where the embedding is of symbols, [time, batch, feature] values otherwise;
    step t of the inputs holds what is known before x_t: x_{t−1}, then what is known of t in advance.

    Args:
        embedding: inputs → [time, batch, feature], step by step and without state (`nn.Embedding`, `nn.Identity`, …).
        backbone: `features, state = backbone(embedded, state)`; time first, and no step reads a later one.
        head: features → the distribution of x_t.
        residual: how many leading input features the head's location is added to; with the number of predicted
            values, the model predicts the change from x_{t−1}.

    Raises:
        ConfigurationError: where the backbone does not stream, or `residual` and the head contradict each other.
        ShapeError: for inputs without a time and a batch axis.
        UnsupportedError: for lengths or resets where the backbone, as torch.nn's, takes none.

    Example:
        >>> from throughtime.models.heads import CategoricalHead
        >>> model = SequenceModel(nn.Embedding(5, 8), nn.GRU(8, 16), CategoricalHead(16, 5))
        >>> distribution, state = model(torch.tensor([[0], [3], [2]]))
        >>> distribution.batch_shape
        torch.Size([3, 1])
    """

    def __init__(self, embedding: nn.Module, backbone: nn.Module, head: Head, residual: int = 0) -> None:
        super().__init__()
        if residual and residual != head.size:
            raise ConfigurationError(f"residual={residual} but the head predicts {head.size} values: they must agree")
        if not streams(backbone):
            raise ConfigurationError(_why_not(backbone))
        self.embedding = embedding
        self.backbone = backbone
        self.head = head
        self.residual = residual

    @property
    def size(self) -> int:
        """How many symbols there are, or values a step."""
        return self.head.size

    @property
    def streams(self) -> bool:
        """Whether a sequence may be fed in pieces."""
        return streams(self.backbone)

    def forward(
        self, inputs: Tensor, state: State = None, *, lengths: Lengths | None = None, resets: Resets | None = None
    ) -> tuple[Distribution, State]:
        """The distribution of x_t given the past, for each step, and the state after the last one."""
        self._check(inputs)
        return self._continue(self.embedding(inputs), inputs, state, lengths=lengths, resets=resets)

    def advance(
        self, inputs: Tensor, state: State = None, *, lengths: Lengths | None = None, resets: Resets | None = None
    ) -> State:
        """The state after the inputs, as `forward` gives it, without the distributions."""
        return self.features(inputs, state, lengths=lengths, resets=resets)[1]

    def features(
        self, inputs: Tensor, state: State = None, *, lengths: Lengths | None = None, resets: Resets | None = None
    ) -> tuple[Tensor, State]:
        """What the head reads of each step, [time, batch, feature]: the past as a vector; and the state, as `forward`.

        Of recurrent layers it is the last one's h; past a length it means nothing.
        """
        self._check(inputs)
        return self._features(self.embedding(inputs), state, lengths=lengths, resets=resets)

    def log_prob(self, x: Tensor, known: Tensor | None = None, *, lengths: Lengths | None = None) -> Tensor:
        """log P(x_t | x_<t) in nats for whole sequences, [time, batch]; summed over time, log P(x).

        The first element is predicted from the initial state and, for x_0, zeros. Past a length it is zero.

        Args:
            x: [time, batch] symbols, or [time, batch, value].
            known: what is known in advance, [time, batch, feature]; row t belongs to x_t.
            lengths: integers [batch]: how many steps of each sequence are real.

        Raises:
            ShapeError: where x has not the head's number of values, or known is not what the model reads.
        """
        self._check(x)
        self._check_elements(x, known)
        before = torch.cat([torch.zeros_like(x[:1]), x[:-1]])
        if known is None:
            embedded = self.embedding(x)
            embedded = torch.cat([torch.zeros_like(embedded[:1]), embedded[:-1]])
        else:
            before = torch.cat([before, known], -1)
            embedded = self.embedding(before)
        distribution, _ = self._continue(embedded, before, None, lengths=lengths)
        values = distribution.log_prob(x)
        if lengths is None:
            return values
        valid = torch.arange(len(values), device=values.device)[:, None] < lengths
        return torch.where(valid, values, torch.zeros_like(values))

    def score(self, x: Tensor, known: Tensor | None = None, *, lengths: Lengths | None = None) -> Tensor:
        """The surprise −log P(x_t | x_<t) in nats of each step of whole sequences, [time, batch]; as `log_prob`."""
        return -self.log_prob(x, known, lengths=lengths)

    @torch.no_grad()
    def forecast(self, observed: Tensor, horizon: int, known: Tensor | None = None, *, samples: int = 100) -> Tensor:
        """Sampled futures of several histories at once; their median is the point forecast, their quantiles intervals.

        Args:
            observed: the histories, [time, batch, value], of at least one step.
            horizon: how many steps to draw after them.
            known: what is known in advance, of the histories and of the horizon, [time + horizon, batch, feature].
            samples: how many futures of each history.

        Returns:
            [sample, horizon, batch, value]
        """
        time, batch = observed.shape[:2]
        known = observed.new_zeros(time + horizon, batch, 0) if known is None else known
        if time < 1 or len(known) != time + horizon:
            raise ShapeError(
                f"observed are {list(observed.shape)} and known {list(known.shape)} for a horizon of {horizon}: "
                "expected at least one step, and a row known for each of time + horizon"
            )
        inputs = torch.cat([observed, known[1 : time + 1]], -1)
        state = self(inputs[:-1])[1] if time > 1 else None
        paths = self.sample(
            horizon,
            inputs[-1].repeat_interleave(samples, 0),
            self.repeat_state(state, samples),
            known=known[time + 1 :].repeat_interleave(samples, 1),
        )
        return paths.unflatten(1, (batch, samples)).movedim(2, 0)

    @torch.no_grad()
    def sample(
        self,
        steps: int,
        first: Tensor | None = None,
        state: State = None,
        *,
        batch_size: int = 1,
        known: Tensor | None = None,
        decoding: Decoding = _AS_IT_IS,
    ) -> Tensor:
        """Draw x_1 … x_steps one after the other, each fed back for the next.

        Args:
            steps: how many elements to draw.
            first: the input of the first step, [batch, …]; `None` starts a sequence as `log_prob` does.
            state: the state before it.
            batch_size: how many sequences, where `first` is not given.
            known: what is known in advance of the steps that are not in `first`: [steps − 1, batch, feature], or
                [steps, batch, feature] without `first`.
            decoding: how each element is drawn.

        Returns:
            [steps, batch, …]

        Raises:
            ConfigurationError: for less than one step.
            ShapeError: where known has not these steps and sequences, or not the columns that the model reads.
        """
        wanted = (steps, batch_size) if first is None else (steps - 1, len(first))
        if known is not None and tuple(known.shape[:2]) != wanted:
            raise ShapeError(f"known is {list(known.shape)}, expected [{wanted[0]}, {wanted[1]}, feature]")
        start = partial(self._start, batch_size)
        return ancestral(self, start, steps, first, state, known=known, decoding=decoding)

    def initial_state(self, batch_size: int) -> State:
        """The state before the first step of `batch_size` sequences.

        Raises:
            UnsupportedError: where the backbone tells none.
        """
        device = self.head.linear.weight.device
        return map_state(lambda part: part.to(device), initial_state(self.backbone, batch_size))

    def repeat_state(self, state: State, times: int) -> State:
        """A state for `times` copies of each sequence, copies side by side, as sampling many futures needs."""
        return map_state(lambda part, axis: part.repeat_interleave(times, dim=axis), state, batch_axes(self))

    def _start(self, batch_size: int, known: Tensor | None) -> tuple[Distribution, State]:
        discrete = isinstance(self.embedding, nn.Embedding) or self.head.discrete
        shape = (1, batch_size) if discrete else (1, batch_size, self.head.size)
        like = self.head.linear.weight
        blank = torch.zeros(shape, dtype=torch.long if discrete else like.dtype, device=like.device)
        if not discrete:
            self._check_width(known)
        if known is None:
            return self._continue(torch.zeros_like(self.embedding(blank)), blank, None)
        blank = torch.cat([blank, known[None]], -1)
        return self._continue(self.embedding(blank), blank, None)

    def _continue(self, embedded: Tensor, inputs: Tensor, state: State, **extras: Tensor | None) -> tuple:
        features, state = self._features(embedded, state, **extras)
        base = inputs[..., : self.residual] if self.residual else None
        return (self.head(features) if base is None else self.head(features, base)), state

    def _features(self, embedded: Tensor, state: State, **extras: Tensor | None) -> tuple[Tensor, State]:
        taken = accepted(self.backbone, f"the backbone {type(self.backbone).__name__}", **extras)
        return self.backbone(embedded, state, **taken)

    def _check_elements(self, x: Tensor, known: Tensor | None) -> None:
        values = x.is_floating_point()
        if values and (self.head.discrete or x.shape[-1] != self.head.size):
            wanted = "indices [time, batch]" if self.head.discrete else f"[time, batch, {self.head.size}]"
            raise ShapeError(f"x is {list(x.shape)}, expected {wanted}; what is known in advance is given as `known`")
        if known is not None and (not values or known.dim() != 3 or known.shape[:2] != x.shape[:2]):
            fix = f"[{len(x)}, {x.shape[1]}, feature], a row for each of x" if values else "none beside symbols"
            raise ShapeError(f"known is {list(known.shape)} for x {list(x.shape)}: expected {fix}")
        if values:
            self._check_width(known)

    def _check_width(self, known: Tensor | None) -> None:
        """Refuse columns known in advance that the model was not built to read, as far as its layers tell."""
        width = input_width(self.embedding, self.backbone)
        given = 0 if known is None else known.shape[-1]
        if width is not None and self.head.size + given != width:
            wanted = width - self.head.size
            raise ShapeError(
                f"known has {given} columns beside the {self.head.size} of x, but the model was built to read {wanted}:"
                + (f" give known [time, batch, {wanted}]" if wanted else " leave known out")
            )

    def _check(self, inputs: Tensor) -> None:
        symbols = not inputs.is_floating_point()
        if inputs.dim() != (2 if symbols else 3):
            wanted = "[time, batch] indices" if symbols else "[time, batch, feature]"
            raise ShapeError(
                f"inputs are {list(inputs.shape)}, expected {wanted}; for one sequence add a batch axis: unsqueeze(1)"
            )


def _why_not(backbone: nn.Module) -> str:
    """Why a backbone that does not stream cannot serve."""
    for module in backbone.modules():
        if getattr(module, "bidirectional", False):
            return (
                f"the backbone's {type(module).__name__} is bidirectional: it sees the future, so P(x_t | x_<t) would "
                "read x_t; use bidirectional=False"
            )
        if getattr(module, "batch_first", False):
            return (
                f"the backbone's {type(module).__name__} is batch_first: it would take time for batch and mix the "
                "sequences; use batch_first=False, and inputs [time, batch, …]"
            )
    return (
        f"the backbone {type(backbone).__name__} says streams = False, so it may read x_t before predicting it: "
        "use one that can be fed in pieces, time first"
    )


def negative_log_likelihood(output: Distribution, target: Tensor) -> Tensor:
    """−log p(target) in nats, [time, batch]: the loss of maximum likelihood, and the surprise of each step.

    Where the output has the last steps alone, as a `DirectForecaster` gives them, the others lose nothing.

    Example:
        >>> fair = torch.distributions.Categorical(logits=torch.zeros(1, 1, 4))
        >>> negative_log_likelihood(fair, torch.tensor([[2]])).item()  # ln 4
        1.3862943649291992
    """
    return last_steps(-output.log_prob(target[len(target) - output.batch_shape[0] :]), len(target))


def last_steps(values: Tensor, time: int) -> Tensor:
    """[time, batch] from the values of the last steps alone, [at most time, batch]; zeros for those before.

    Example:
        >>> last_steps(torch.ones(1, 1), 3).T
        tensor([[0., 0., 1.]])
    """
    missing = time - len(values)
    return torch.cat([values.new_zeros(missing, values.shape[1]), values]) if missing else values
