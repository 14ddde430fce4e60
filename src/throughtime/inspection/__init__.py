"""What flows back through time: model and batch in, records out; nothing is trained."""

from .gradient_flow import GradientFlow as GradientFlow
from .gradient_flow import LayerFlow as LayerFlow
from .gradient_flow import gradient_flow as gradient_flow
