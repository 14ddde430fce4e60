"""The loop, its optimisers and its checkpoints."""

from .checkpoint import Position as Position
from .fitting import Fitting as Fitting
from .labels import label_task as label_task
from .loop import Training as Training
from .music import music_task as music_task
from .preparation import prepare as prepare
from .preparation import resume as resume
from .sampling import first_batch as first_batch
from .series import series_task as series_task
from .symbols import symbol_task as symbol_task
