"""Whether a backward is right, and whether a layer computes what torch.nn's does."""

from .gradcheck import CheckedBlock as CheckedBlock
from .gradcheck import GradientCheck as GradientCheck
from .gradcheck import gradcheck as gradcheck
from .parity import Parity as Parity
from .parity import ParityRow as ParityRow
from .parity import parity as parity
