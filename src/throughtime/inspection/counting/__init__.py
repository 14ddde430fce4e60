"""Weights, operations, bytes and sizes of any module."""

from .summary import LayerSummary as LayerSummary
from .summary import Summary as Summary
from .summary import summary as summary
