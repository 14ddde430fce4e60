"""What gates and heads do on a real sequence."""

from .attention_maps import AttentionMaps as AttentionMaps
from .attention_maps import LayerAttention as LayerAttention
from .attention_maps import attention_maps as attention_maps
from .gates import Gates as Gates
from .gates import LayerGates as LayerGates
from .gates import gates as gates
