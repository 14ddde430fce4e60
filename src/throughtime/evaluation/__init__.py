"""How good a model is, beside what costs nothing."""

from .backtest import Backtest as Backtest
from .backtest import backtest as backtest
from .likelihood import Likelihood as Likelihood
from .likelihood import likelihood as likelihood
from .scores import Scores as Scores
