"""Recurrent networks trained by backpropagation through time, on PyTorch."""

from ._errors import ArtifactError as ArtifactError
from ._errors import ConfigurationError as ConfigurationError
from ._errors import DataError as DataError
from ._errors import ShapeError as ShapeError
from ._errors import ThroughtimeError as ThroughtimeError
from ._errors import UnsupportedError as UnsupportedError
from ._types import Batch as Batch
from ._types import Segment as Segment
from .data import read_text as read_text
from .gradients import Full as Full
from .gradients import Truncated as Truncated
from .gradients import backward as backward
from .models import SequenceModel as SequenceModel
from .nn import GRU as GRU
from .nn import LSTM as LSTM
from .nn import RNN as RNN
from .nn import GRUCell as GRUCell
from .nn import LSTMCell as LSTMCell
from .nn import Recurrent as Recurrent
from .nn import RNNCell as RNNCell
from .nn import accelerate as accelerate
from ._version import __version__ as __version__
