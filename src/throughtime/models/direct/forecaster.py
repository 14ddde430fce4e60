"""A window of the past in, the distributions of all steps of a horizon out."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.distributions import Independent
from torch.nn import functional

from ..._errors import ConfigurationError, ShapeError
from ..._types import Lengths, State
from ..heads import Head, placed
from ..known import KnownScale
from .normalisation import InstanceNormalisation, Normalisation


class DirectForecaster(nn.Module):
    """P(x_{t+1}, …, x_{t+H} | the last values), all steps at once: nothing drawn is fed back.

    The steps are independent given the past: each step's distribution is meant, paths through them are not.

    Args:
        network: `features = network(values, known)` from the values of the past [lookback, batch, observed] and what
            is known of the steps after each of them, [lookback + horizon − 1, batch, known]; the last `horizon` rows
            are those of the horizon. `SummaryNetwork` and `SegmentNetwork` are such.
        head: features → unconstrained parameters; of a size that divides what is forecast.
        lookback, horizon: steps read, and steps forecast.
        observed, known: how many values a step has, and how many columns are known in advance; in this order they are
            the features of the inputs.
        normalisation: of each window by itself.

    Raises:
        ConfigurationError: for a head without a location.

    Example:
        >>> from throughtime.models.heads import NormalHead
        >>> from throughtime.models.direct import SummaryNetwork
        >>> from throughtime.nn import GRU
        >>> network = SummaryNetwork(GRU(2, 8), known=0, horizon=4, hidden_size=8)
        >>> model = DirectForecaster(network, NormalHead(8, 2), lookback=12, horizon=4, observed=2)
        >>> distribution, _ = model(torch.zeros(15, 3, 2))
        >>> distribution.batch_shape, model.forecast(torch.zeros(12, 3, 2), 4, samples=5).shape
        (torch.Size([4, 3]), torch.Size([5, 4, 3, 2]))
    """

    streams = False

    def __init__(
        self,
        network: nn.Module,
        head: Head,
        *,
        lookback: int,
        horizon: int,
        observed: int,
        known: int = 0,
        normalisation: Normalisation = "last",
    ) -> None:
        super().__init__()
        if not head.located:
            raise ConfigurationError(f"{type(head).__name__} has no location: a forecast of values needs one")
        self.network, self.head = network, head
        self.lookback, self.horizon, self.observed = lookback, horizon, observed
        self.embedding = KnownScale(observed, known) if known else nn.Identity()
        self.normalisation = InstanceNormalisation(normalisation)

    @property
    def size(self) -> int:
        """How many values a step has."""
        return self.observed

    def forward(
        self, inputs: Tensor, state: State = None, *, lengths: Lengths | None = None
    ) -> tuple[Independent, None]:
        """The distributions of the last `horizon` steps, batch shape [horizon, batch].

        Args:
            inputs: [lookback + horizon − 1, batch, observed + known]; as for a `SequenceModel`, step t holds x_{t−1}
                and what is known of t. Values after the lookback are not read.
            state: nothing; there is none.
            lengths: refused.

        Raises:
            ShapeError: for another number of steps, or sequences that are shorter.
        """
        if lengths is not None or state is not None or len(inputs) != self.lookback + self.horizon - 1:
            raise ShapeError(
                f"inputs are {list(inputs.shape)}{' with lengths' if lengths is not None else ''}"
                f"{' and a state' if state is not None else ''}: a direct forecast reads whole windows of lookback "
                f"{self.lookback} and horizon {self.horizon}, {self.lookback + self.horizon - 1} steps, from nothing"
            )
        inputs = self.embedding(inputs)
        values, known = inputs[: self.lookback, :, : self.observed], inputs[..., self.observed :]
        level, spread = self.normalisation(values)
        raw = self.head.raw(self.network((values - level) / spread, known))
        distribution = self.head.distribution(*(self._steps(part) for part in raw))
        assert isinstance(distribution, Independent)
        return placed(distribution, level, spread), None

    @torch.no_grad()
    def forecast(self, observed: Tensor, horizon: int, known: Tensor | None = None, *, samples: int = 100) -> Tensor:
        """Sampled futures, [sample, horizon, batch, value], each step drawn by itself.

        Args:
            observed: the histories, [time, batch, value]; where they are shorter than the lookback, the first value
                stands in for what is missing, and of longer ones the last steps are read.
            horizon: how many steps, the model's own at most.
            known: what is known in advance, of the histories and the horizon, [time + horizon, batch, feature].
            samples: how many futures of each.

        Raises:
            ShapeError: for no step, a longer horizon than the model's, or rows that are not known.
        """
        return self.distribution(observed, horizon, known).sample(torch.Size([samples]))[:, :horizon]

    def distribution(self, observed: Tensor, horizon: int, known: Tensor | None = None) -> Independent:
        """Of all steps that follow some histories, the first `horizon` of them meant; batch shape [own horizon, batch].

        Arguments and errors are those of `forecast`.
        """
        time, batch = observed.shape[:2]
        known = observed.new_zeros(time + horizon, batch, 0) if known is None else known
        if time < 1 or len(known) != time + horizon or horizon > self.horizon:
            raise ShapeError(
                f"observed are {list(observed.shape)} and known {list(known.shape)} for a horizon of {horizon}: "
                f"expected at least one step, a row known for each of time + horizon, and a horizon of {self.horizon} "
                "at most, as the model was built for"
            )
        inputs = functional.pad(torch.cat([observed, known[1 : time + 1]], -1), (0, 0, 0, 0, 0, self.horizon - 1))
        inputs[time : time + horizon - 1, :, self.observed :] = known[time + 1 :]
        missing = max(0, self.lookback - time)
        return self(torch.cat([inputs[:1].expand(missing, -1, -1), inputs[max(0, time - self.lookback) :]]))[0]

    def next_step(self, inputs: Tensor, state: State = None) -> tuple[Independent, State]:
        """The distribution of the first step alone of a forecast after each step of one sequence, and what is kept.

        Of what is known in advance of the further steps, nothing is asked for: that of the first stands in for it.

        Args:
            inputs: as for a `SequenceModel`, [time, 1, observed + known].
            state: the last lookback − 1 inputs before them; `None` begins a sequence, whose first input stands in for
                what is missing.

        Returns:
            Batch shape [time, 1].
        """
        before = inputs[:1].expand(self.lookback - 1, -1, -1) if state is None else state
        rows = torch.cat([before, inputs])
        windows = rows[:, 0].unfold(0, self.lookback, 1).permute(2, 0, 1)
        inner = self(torch.cat([windows, windows[-1:].expand(self.horizon - 1, -1, -1)]))[0].base_dist
        first = {name: getattr(inner, name)[:1].transpose(0, 1) for name in inner.arg_constraints}
        return Independent(type(inner)(**first), 1), rows[len(rows) - self.lookback + 1 :]

    def _steps(self, part: Tensor) -> Tensor:
        """[horizon, batch, observed], of a step each or of segments of a channel each."""
        if part.dim() == 3:
            return part
        return part.permute(0, 3, 1, 2).flatten(0, 1)[: self.horizon]
