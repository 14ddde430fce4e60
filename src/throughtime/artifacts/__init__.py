"""A trained model on disk: weights, configuration, scaling, and the description of its data."""

from . import store as store
from .configuration import OptimizerSettings as OptimizerSettings
from .configuration import RunConfiguration as RunConfiguration
from .configuration import SeriesTask as SeriesTask
from .configuration import SymbolTask as SymbolTask
from .configuration import TrainingSettings as TrainingSettings
from .configuration import explained as explained
from .features import Per as Per
from .forecast import LEVELS as LEVELS
from .forecast import Forecast as Forecast
from .forecast import SeriesForecast as SeriesForecast
from .loading import load as load
from .run import Run as Run
from .series import SeriesRun as SeriesRun
from .series import called as called
from .surprise import Surprise as Surprise
from .symbols import SymbolRun as SymbolRun
from .tables import write_table as write_table
