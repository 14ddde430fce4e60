"""From a folder to a run of the right kind."""

from __future__ import annotations

from pathlib import Path

import torch

from .._errors import ArtifactError
from . import store
from .labels import LabelRun
from .music import MusicRun
from .run import Run
from .series import SeriesRun
from .symbols import SymbolRun

_KINDS: dict[str, type[Run]] = {"series": SeriesRun, "symbols": SymbolRun, "labels": LabelRun, "music": MusicRun}


def load(folder: str | Path, *, device: torch.device | str = "cpu", weights: bool = True) -> Run:
    """Load a run folder. Nothing in it is executed.

    Args:
        folder: a run folder.
        device: where its model is put.
        weights: whether to read the trained weights; without, the model is freshly initialised.

    Returns:
        `SeriesRun`, `SymbolRun`, `LabelRun` or `MusicRun`.

    Raises:
        ArtifactError: if anything in it is missing, damaged, or of a newer version.

    Example:
        >>> load("no/such/folder")
        Traceback (most recent call last):
        throughtime._errors.ArtifactError: no/such/folder is no run folder: it does not exist
    """
    folder = Path(folder)
    configuration = store.read_configuration(folder)
    data = store.read_json(folder / store.DATA)
    try:
        run = _KINDS[configuration.task.kind](folder, configuration, data)
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        reason = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else error
        raise ArtifactError(
            f"{folder / store.DATA} is damaged, or not of this {store.CONFIGURATION}: {reason}"
        ) from None
    if weights:
        run.load_weights()
    return run.to(device)
