"""What a recurrence computes, and who computes it."""

from . import native as native
from ._autograd import transformed as transformed
from ._kernels import GATE_NAMES as GATE_NAMES
from ._kernels import GATES as GATES
from ._library import kernels as kernels
from .backend import BACKENDS as BACKENDS
from .backend import KINDS as KINDS
from .backend import Call as Call
from .backend import Choice as Choice
from .backend import check_backend as check_backend
from .backend import choose as choose
from .backend import product_dtype as product_dtype
from .fused import fused as fused
from .linear import linear as linear
from .memory import release_memory as release_memory
from .packed import PackedLayers as PackedLayers
from .reference import EQUATIONS as EQUATIONS
from .reference import Step as Step
from .reference import attention as attention
from .reference import attention_weights as attention_weights
from .reference import gru_step as gru_step
from .reference import linear_recurrence as linear_recurrence
from .reference import lstm_step as lstm_step
from .reference import rnn_step as rnn_step
from .reference import scan as scan
