"""How far back, and with how much memory, the gradient of a loss travels."""

from ..nn import streams as streams
from .checkpointed import Checkpointed as Checkpointed
from .comparison import GradientComparison as GradientComparison
from .comparison import compare_gradients as compare_gradients
from .comparison import gradient_memory as gradient_memory
from .comparison import smallest_truncation as smallest_truncation
from .door import backward as backward
from .full import Full as Full
from .names import FORMS as FORMS
from .names import strategy_named as strategy_named
from .random_truncation import RandomTruncation as RandomTruncation
from .rtrl import RTRL as RTRL
from .snap1 import SnAp1 as SnAp1
from .strategy import Strategy as Strategy
from .strategy import summed_loss as summed_loss
from .truncated import Truncated as Truncated
from .uoro import UORO as UORO
