"""All steps of a horizon at once, from a window of the past."""

from .forecaster import DirectForecaster as DirectForecaster
from .normalisation import Normalisation as Normalisation
from .segments import SegmentNetwork as SegmentNetwork
from .summary import SummaryNetwork as SummaryNetwork
