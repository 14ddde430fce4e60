"""Whether the state forgets or amplifies: Jacobians along the trajectory, and Lyapunov exponents."""

from .dynamics import Dynamics as Dynamics
from .dynamics import JacobianSpectra as JacobianSpectra
from .dynamics import LayerDynamics as LayerDynamics
from .dynamics import RecurrentBlock as RecurrentBlock
from .dynamics import dynamics as dynamics
