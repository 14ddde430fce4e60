"""Cells and layers: one step of a recurrence, and all of them over time."""

from .acceleration import Acceleration as Acceleration
from .acceleration import accelerate as accelerate
from .cell import Cell as Cell
from .contract import streams as streams
from .gru import GRU as GRU
from .gru import GRUCell as GRUCell
from .lags import Lags as Lags
from .linear import Linear as Linear
from .lstm import LSTM as LSTM
from .lstm import LSTMCell as LSTMCell
from .options import Options as Options
from .recurrent import Recurrent as Recurrent
from .rnn import RNN as RNN
from .rnn import RNNCell as RNNCell
from .sequential import Sequential as Sequential
from .stepper import Stepper as Stepper
