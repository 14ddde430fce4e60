"""How far back, and with how much memory, the gradient of a loss travels."""

from ..nn import streams as streams
from .door import backward as backward
from .full import Full as Full
from .names import strategy_named as strategy_named
from .strategy import Strategy as Strategy
from .strategy import summed_loss as summed_loss
from .truncated import Truncated as Truncated
