"""The equations of each cell in plain PyTorch: any device, any dtype, differentiable any number of times."""

from .attention import attention as attention
from .attention import attention_weights as attention_weights
from .gru import gru_step as gru_step
from .linear_recurrence import linear_recurrence as linear_recurrence
from .lstm import lstm_step as lstm_step
from .recurrence import EQUATIONS as EQUATIONS
from .recurrence import recurrence as recurrence
from .rnn import rnn_step as rnn_step
from .scan import Step as Step
from .scan import scan as scan
