"""What flows back through time: model and batch in, records out; nothing is trained."""

from .explanation import Explanation as Explanation
from .explanation import Line as Line
from .explanation import explain as explain
from .gradient_flow import GradientFlow as GradientFlow
from .gradient_flow import LayerFlow as LayerFlow
from .gradient_flow import gradient_flow as gradient_flow
from .remedies import Remedy as Remedy
from .remedies import remedies as remedies
from .verification import CheckedBlock as CheckedBlock
from .verification import GradientCheck as GradientCheck
from .verification import Parity as Parity
from .verification import ParityRow as ParityRow
from .verification import gradcheck as gradcheck
from .verification import parity as parity
