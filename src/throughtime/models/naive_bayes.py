"""Vectors of discrete variables that are independent given a class, which is seen or not."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Categorical

from .._errors import ConfigurationError, DataError, ShapeError
from .independent import DiscreteVectors, log_shares
from .parameter_count import ParameterCount


class NaiveBayes(DiscreteVectors):
    """P(x) = Σ_k P(k) ∏ P(x_i | k): the variables are independent given one of k classes, and only then.

    Fitted with classes it is naive Bayes; without, a mixture (the latent class model), by expectation maximisation.
    k − 1 + k n (m − 1) parameters.

    Args:
        variables: n.
        classes: k.
        sides: m; 2 for binary variables.

    Raises:
        ConfigurationError: for no variable, no class, or less than two sides.

    Example:
        >>> x = torch.tensor([[0, 0], [0, 0], [1, 1], [1, 0]])
        >>> model = NaiveBayes(2, classes=2).fit(x, torch.tensor([0, 0, 1, 1]))
        >>> model.log_prob(torch.tensor([[0, 0], [1, 1]])).exp()  # ½ · 1 · 1 and ½ · 1 · ½
        tensor([0.5000, 0.2500], dtype=torch.float64)
        >>> model.posterior(torch.tensor([[1, 0]]))
        tensor([[0., 1.]], dtype=torch.float64)

    References:
        Lazarsfeld and Henry, "Latent structure analysis", 1968; Dempster, Laird and Rubin, "Maximum likelihood from
        incomplete data via the EM algorithm", JRSS B 1977, doi:10.1111/j.2517-6161.1977.tb01600.x.
    """

    prior: Tensor
    table: Tensor

    def __init__(self, variables: int, classes: int, sides: int = 2) -> None:
        super().__init__(variables, sides)
        if classes < 1:
            raise ConfigurationError(f"NaiveBayes(classes={classes}): expected at least 1 class")
        self.classes = classes
        self.register_buffer("prior", log_shares(torch.zeros(classes, dtype=torch.float64)))
        self.register_buffer("table", log_shares(torch.zeros(classes, variables, sides, dtype=torch.float64)))

    def fit(
        self,
        x: Tensor,
        classes: Tensor | None = None,
        *,
        smoothing: float = 0.0,
        iterations: int = 1000,
        tolerance: float = 1e-10,
        seed: int = 0,
    ) -> NaiveBayes:
        """Maximum likelihood; returns the model.

        With classes these are relative frequencies. Without, each iteration raises the likelihood to, in general, a
        local maximum that depends on where it began.

        Args:
            x: [batch, n].
            classes: integers [batch] from 0 to k − 1, if they were seen.
            smoothing: added to each count, of classes too.
            iterations: at most so many of expectation maximisation.
            tolerance: it ends where ln P of a vector gains less than this in the mean.
            seed: of the tables that it begins with.

        Raises:
            ConfigurationError: for a smoothing below 0.
            DataError: for other than whole numbers in range, or no vectors.
            ShapeError: for x or classes of another shape.
        """
        values = self._observed(x, smoothing)
        if classes is not None:
            self._maximise(values, self._belonging(classes, len(values)), smoothing)
            return self
        generator = torch.Generator().manual_seed(seed)
        self.prior = torch.full_like(self.prior, 1 / self.classes).log()
        self.table = torch.randn(self.table.shape, generator=generator).to(self.table).log_softmax(-1)
        before = -torch.inf
        for _ in range(iterations):
            joint = self._joint(values)
            after = float(joint.logsumexp(-1).mean())
            if after - before < tolerance:
                break
            before = after
            self._maximise(values, joint.softmax(-1), smoothing)
        return self

    def log_prob(self, x: Tensor) -> Tensor:
        """ln P(x) of x [batch, n], [batch]."""
        return self._joint(self._checked(x)).logsumexp(-1)

    def posterior(self, x: Tensor) -> Tensor:
        """P(k | x) of x [batch, n] by Bayes' rule, [batch, classes]; nan where P(x) is 0."""
        return self._joint(self._checked(x)).softmax(-1)

    def sample(self, batch_size: int = 1) -> Tensor:
        """Independent draws, integers [batch, n]: a class each, then the variables."""
        drawn = Categorical(logits=self.prior).sample((batch_size,))
        return Categorical(logits=self.table[drawn]).sample()

    def explain(self) -> ParameterCount:
        """k − 1 + k n (m − 1), and why."""
        return ParameterCount.naive_bayes(self.variables, self.classes, self.sides)

    def extra_repr(self) -> str:
        """What the module's representation shows."""
        return f"{self.variables}, classes={self.classes}, sides={self.sides}"

    def _joint(self, x: Tensor) -> Tensor:
        """ln P(k, x), [batch, classes]."""
        of_variables = self.table[:, torch.arange(self.variables, device=x.device), x]
        return (self.prior[:, None] + of_variables.sum(-1)).T

    def _maximise(self, x: Tensor, belonging: Tensor, smoothing: float) -> None:
        """The best tables where each vector belongs to each class by a share, [batch, classes]."""
        counts = torch.stack([belonging.T @ (x == side).to(belonging) for side in range(self.sides)], -1)
        self.prior = log_shares(belonging.sum(0) + smoothing)
        self.table = log_shares(counts + smoothing)

    def _belonging(self, classes: Tensor, batch: int) -> Tensor:
        if tuple(classes.shape) != (batch,) or classes.is_floating_point():
            given = f"{classes.dtype} {list(classes.shape)}"
            raise ShapeError(f"NaiveBayes got classes {given}, expected integers [{batch}], one a vector")
        wrong = classes[(classes < 0) | (classes >= self.classes)]
        if len(wrong):
            raise DataError(f"NaiveBayes got the class {int(wrong[0])}, expected 0 to {self.classes - 1}")
        return torch.nn.functional.one_hot(classes.long(), self.classes).to(self.table)
