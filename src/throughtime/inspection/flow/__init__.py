"""What of a loss arrives at earlier steps, on which paths, and what each step adds to a weight's gradient."""

from .gradient_flow import GradientFlow as GradientFlow
from .gradient_flow import LayerFlow as LayerFlow
from .gradient_flow import gradient_flow as gradient_flow
from .ledger import LayerLedger as LayerLedger
from .ledger import Ledger as Ledger
from .ledger import ledger as ledger
from .weight_gradient import LayerTerms as LayerTerms
from .weight_gradient import Terms as Terms
from .weight_gradient import WeightGradient as WeightGradient
from .weight_gradient import weight_gradient_by_step as weight_gradient_by_step
