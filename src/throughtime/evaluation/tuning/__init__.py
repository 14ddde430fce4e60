"""The search for the best settings."""

from .ranges import Choices as Choices
from .ranges import Numbers as Numbers
from .record import TunedTrial as TunedTrial
from .record import Tuning as Tuning
from .tunables import TUNABLES as TUNABLES
from .tunables import USUAL as USUAL
from .tune import tune as tune
