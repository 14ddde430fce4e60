"""Vectors of discrete variables under the three classical assumptions: none, independence, a Markov chain."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor, nn
from torch.distributions import Categorical

from .._errors import ConfigurationError, DataError, ShapeError
from .contract import Density
from .parameter_count import ParameterCount

_LARGEST_TABLE = 1 << 24


class DiscreteVectors(nn.Module, Density):
    """A distribution over vectors of n variables with values 0 … m − 1, its probabilities estimated by counting.

    Tables hold logarithms of probabilities in float64, uniform before `fit`.

    Args:
        variables: n.
        sides: m; 2 for binary variables.

    Raises:
        ConfigurationError: for no variable, or less than two sides.
    """

    streams = False

    def __init__(self, variables: int, sides: int = 2) -> None:
        super().__init__()
        if variables < 1 or sides < 2:
            name = type(self).__name__
            raise ConfigurationError(f"{name}({variables}, {sides}): expected at least 1 variable, of at least 2 sides")
        self.variables = variables
        self.sides = sides

    @abstractmethod
    def explain(self) -> ParameterCount:
        """How many free parameters there are, and why."""

    @property
    def parameter_count(self) -> int:
        """How many free parameters there are."""
        return self.explain().count

    def extra_repr(self) -> str:
        """What the module's representation shows."""
        return f"{self.variables}, sides={self.sides}"

    def _checked(self, x: Tensor) -> Tensor:
        """x as int64."""
        name = type(self).__name__
        if x.dim() != 2 or x.shape[1] != self.variables:
            raise ShapeError(f"{name} got x {list(x.shape)}, expected [batch, {self.variables}]")
        values = x.long()
        wrong = x[(values != x) | (values < 0) | (values >= self.sides)]
        if len(wrong):
            raise DataError(f"{name} got the value {wrong[0].item()}, expected whole numbers 0 to {self.sides - 1}")
        return values

    def _observed(self, x: Tensor, smoothing: float) -> Tensor:
        """x as int64, to be fitted."""
        if not 0 <= smoothing < float("inf"):
            raise ConfigurationError(f"smoothing={smoothing}: expected what is added to each count, 0 or more")
        if not len(x):
            raise DataError(f"{type(self).__name__} got no vectors to fit: x is {list(x.shape)}")
        return self._checked(x)


class JointTable(DiscreteVectors):
    """The full joint distribution, a probability for each of the mⁿ vectors: mⁿ − 1 parameters, and no assumption.

    Args:
        variables: n.
        sides: m; 2 for binary variables.

    Raises:
        ConfigurationError: for more than 2²⁴ vectors (24 bits, or one RGB pixel).

    Example:
        >>> model = JointTable(2).fit(torch.tensor([[0, 0], [1, 1], [1, 1], [1, 0]]))
        >>> model.log_prob(torch.tensor([[1, 1], [0, 0]])).exp()
        tensor([0.5000, 0.2500], dtype=torch.float64)
        >>> print(model.explain())
        2ⁿ − 1 = 3: one for each of the 4 outcomes but the last, as they sum to one
    """

    table: Tensor

    def __init__(self, variables: int, sides: int = 2) -> None:
        super().__init__(variables, sides)
        if sides**variables > _LARGEST_TABLE:
            raise ConfigurationError(
                f"JointTable({variables}, {sides}): a table of {sides}^{variables} probabilities is too large, at most "
                f"{_LARGEST_TABLE:,}; assume something: Chain, NaiveBayes or FullyIndependent"
            )
        self.register_buffer("table", log_shares(torch.zeros(sides**variables, dtype=torch.float64)))

    def fit(self, x: Tensor, *, smoothing: float = 0.0) -> JointTable:
        """Maximum likelihood, which is relative frequency; `smoothing` is added to each count. Returns the model."""
        counts = torch.bincount(self._codes(self._observed(x, smoothing)), minlength=len(self.table))
        self.table = log_shares(counts.to(self.table) + smoothing)
        return self

    def log_prob(self, x: Tensor) -> Tensor:
        """ln P(x) of x [batch, n], [batch]."""
        return self.table[self._codes(self._checked(x))]

    def sample(self, batch_size: int = 1) -> Tensor:
        """Independent draws, integers [batch, n]."""
        codes = Categorical(logits=self.table).sample((batch_size,))
        return codes[:, None] // self._places(codes) % self.sides

    def explain(self) -> ParameterCount:
        """mⁿ − 1, and why."""
        return ParameterCount.joint(self.variables, self.sides)

    def _codes(self, x: Tensor) -> Tensor:
        return (x * self._places(x)).sum(-1)

    def _places(self, x: Tensor) -> Tensor:
        """What a digit counts in each place."""
        return self.sides ** torch.arange(self.variables - 1, -1, -1, device=x.device)


class FullyIndependent(DiscreteVectors):
    """P(x) = ∏ P(x_i): no variable tells of another; n (m − 1) parameters, n if they are binary.

    Args:
        variables: n.
        sides: m; 2 for binary variables.

    Example:
        >>> model = FullyIndependent(2).fit(torch.tensor([[0, 0], [1, 1], [1, 1], [1, 0]]))
        >>> model.log_prob(torch.tensor([[1, 1], [0, 0]])).exp()  # ¾ · ½ and ¼ · ½
        tensor([0.3750, 0.1250], dtype=torch.float64)
        >>> print(model.explain())
        n = 2: 1 for each of the 2 variables, as none depends on another
    """

    table: Tensor

    def __init__(self, variables: int, sides: int = 2) -> None:
        super().__init__(variables, sides)
        self.register_buffer("table", log_shares(torch.zeros(variables, sides, dtype=torch.float64)))

    def fit(self, x: Tensor, *, smoothing: float = 0.0) -> FullyIndependent:
        """Maximum likelihood: each variable's relative frequencies; `smoothing` is added to each count."""
        counts = counted(self._observed(x, smoothing), self.sides)
        self.table = log_shares(counts.to(self.table) + smoothing)
        return self

    def log_prob(self, x: Tensor) -> Tensor:
        """ln P(x) of x [batch, n], [batch]."""
        x = self._checked(x)
        return self.table[torch.arange(self.variables, device=x.device), x].sum(-1)

    def sample(self, batch_size: int = 1) -> Tensor:
        """Independent draws, integers [batch, n]."""
        return Categorical(logits=self.table).sample((batch_size,))

    def explain(self) -> ParameterCount:
        """n (m − 1), and why."""
        return ParameterCount.independent(self.variables, self.sides)


class Chain(DiscreteVectors):
    """P(x) = P(x_1) ∏ P(x_i | x_{i−1}), a Markov chain along the variables: x_i ⊥ x_<i−1 | x_{i−1}.

    Each pair of neighbours has a table of its own: (m − 1)(1 + (n − 1) m) parameters, 2n − 1 if they are binary. What
    follows a value that was never seen there is uniform. For sequences with one table for all steps, see `Markov`.

    Args:
        variables: n.
        sides: m; 2 for binary variables.

    Example:
        >>> model = Chain(3).fit(torch.tensor([[0, 0, 0], [1, 1, 0], [1, 1, 1], [1, 0, 0]]))
        >>> model.log_prob(torch.tensor([[1, 1, 1], [0, 1, 0]])).exp()  # ¾ · ⅔ · ½, and 0
        tensor([0.2500, 0.0000], dtype=torch.float64)
        >>> model.parameter_count
        5
    """

    first: Tensor
    transitions: Tensor

    def __init__(self, variables: int, sides: int = 2) -> None:
        super().__init__(variables, sides)
        pairs = torch.zeros(variables - 1, sides, sides, dtype=torch.float64)
        self.register_buffer("first", log_shares(pairs.new_zeros(sides)))
        self.register_buffer("transitions", log_shares(pairs))

    def fit(self, x: Tensor, *, smoothing: float = 0.0) -> Chain:
        """Maximum likelihood: relative frequencies after each value; `smoothing` is added to each count."""
        x = self._observed(x, smoothing)
        pairs = counted(x[:, :-1] * self.sides + x[:, 1:], self.sides**2).unflatten(1, (self.sides, self.sides))
        self.first = log_shares(counted(x[:, :1], self.sides)[0].to(self.first) + smoothing)
        self.transitions = log_shares(pairs.to(self.transitions) + smoothing)
        return self

    def log_prob(self, x: Tensor) -> Tensor:
        """ln P(x) of x [batch, n], [batch]."""
        x = self._checked(x)
        pairs = torch.arange(self.variables - 1, device=x.device)
        return self.first[x[:, 0]] + self.transitions[pairs, x[:, :-1], x[:, 1:]].sum(-1)

    def sample(self, batch_size: int = 1) -> Tensor:
        """Independent draws, integers [batch, n], one variable after the other."""
        drawn = [Categorical(logits=self.first).sample((batch_size,))]
        for transition in self.transitions:
            drawn.append(Categorical(logits=transition[drawn[-1]]).sample())
        return torch.stack(drawn, -1)

    def explain(self) -> ParameterCount:
        """(m − 1)(1 + (n − 1) m), and why."""
        return ParameterCount.chain(self.variables, self.sides)


def counted(x: Tensor, sides: int) -> Tensor:
    """How often each variable of x [batch, n] has each of its values, [n, sides]."""
    variables = x.shape[1]
    places = torch.arange(variables, device=x.device) * sides + x
    return torch.bincount(places.flatten(), minlength=variables * sides).view(variables, sides)


def log_shares(counts: Tensor) -> Tensor:
    """ln of the counts' shares of their sum over the last axis; uniform where all of them are zero."""
    totals = counts.sum(-1, keepdim=True)
    return torch.where(totals > 0, counts / totals, 1 / counts.shape[-1]).log()
