"""What flows back through time: model and batch in, records out; nothing is trained."""

from .dynamics import Dynamics as Dynamics
from .dynamics import dynamics as dynamics
from .explanation import Explanation as Explanation
from .explanation import Line as Line
from .explanation import explain as explain
from .gradient_flow import GradientFlow as GradientFlow
from .gradient_flow import LayerFlow as LayerFlow
from .gradient_flow import gradient_flow as gradient_flow
from .ledger import LayerLedger as LayerLedger
from .ledger import Ledger as Ledger
from .ledger import ledger as ledger
from .remedies import Remedy as Remedy
from .remedies import remedies as remedies
from .report import Figure as Figure
from .report import Report as Report
from .report import report as report
from .summary import Summary as Summary
from .summary import summary as summary
from .verification import CheckedBlock as CheckedBlock
from .verification import GradientCheck as GradientCheck
from .verification import Parity as Parity
from .verification import ParityRow as ParityRow
from .verification import gradcheck as gradcheck
from .verification import parity as parity
from .weight_gradient import WeightGradient as WeightGradient
from .weight_gradient import weight_gradient_by_step as weight_gradient_by_step
