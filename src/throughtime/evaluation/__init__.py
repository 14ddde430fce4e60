"""How good a model is, beside what costs nothing."""

from .backtest import Backtest as Backtest
from .backtest import backtest as backtest
from .compare import compare as compare
from .comparison import Candidate as Candidate
from .comparison import Comparison as Comparison
from .comparison import Metric as Metric
from .cross_validate import cross_validate as cross_validate
from .cross_validation import CrossValidation as CrossValidation
from .difference import Difference as Difference
from .difference import difference as difference
from .fold_trials import FoldScores as FoldScores
from .folds import Blocked as Blocked
from .folds import Fold as Fold
from .folds import RollingOrigin as RollingOrigin
from .folds import Scheme as Scheme
from .likelihood import Likelihood as Likelihood
from .likelihood import likelihood as likelihood
from .nested import NestedCrossValidation as NestedCrossValidation
from .nested import nested_cross_validate as nested_cross_validate
from .scores import Scores as Scores
from .trial import Trial as Trial
