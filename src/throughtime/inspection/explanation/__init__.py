"""The equations of a recurrence, forward and backward: each line one expression that is read, computed and compared."""

from .explain import Explanation as Explanation
from .explain import Line as Line
from .explain import explain as explain
