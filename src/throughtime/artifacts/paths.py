"""Sampled futures of many histories at once, on the model's own scale."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from .._state import size_of
from ..models import DirectForecaster, SequenceModel, device_of
from ..nn.contract import initial_state

_SEQUENCES_AT_ONCE = 8192
_BYTES_OF_STATE_AT_ONCE = 64 << 20
"""A state that fits the caches: with one of some gigabytes, the steps of a Transformer took twice as long."""


def sample_paths(
    model: SequenceModel | DirectForecaster,
    observed: np.ndarray,
    known: np.ndarray,
    samples: int,
    seed: int,
    progress: Callable[[float], None] = lambda share: None,
) -> np.ndarray:
    """Draw `samples` futures after each history.

    Args:
        model: a model of values, predicting all observed columns.
        observed: [lookback, window, observed], scaled.
        known: [lookback + horizon, window, known]: what is known in advance, of the past and of the horizon.
        samples: futures a window.
        seed: of the random draws; the caller's random state is left as it was.
        progress: is told the share that is done.

    Returns:
        [sample, horizon, window, observed], scaled.
    """
    windows = observed.shape[1]
    at_once = max(1, _sequences_at_once(model) // samples)
    device = device_of(model)
    model.eval()
    drawn = []
    with torch.random.fork_rng(devices=[]), torch.inference_mode():
        torch.manual_seed(seed)
        for start in range(0, windows, at_once):
            part = slice(start, start + at_once)
            histories, ahead = _tensor(observed[:, part], device), _tensor(known[:, part], device)
            paths = model.forecast(histories, len(known) - len(observed), ahead, samples=samples)
            drawn.append(paths.double().cpu().numpy())
            progress(min(1.0, (start + at_once) / windows))
    return np.concatenate(drawn, axis=2)


def _sequences_at_once(model: SequenceModel | DirectForecaster) -> int:
    if isinstance(model, DirectForecaster):
        return _SEQUENCES_AT_ONCE
    return min(_SEQUENCES_AT_ONCE, _BYTES_OF_STATE_AT_ONCE // max(1, size_of(initial_state(model.backbone, 1))))


def _tensor(values: np.ndarray, device: torch.device) -> Tensor:
    return torch.as_tensor(np.ascontiguousarray(values), dtype=torch.float32, device=device)
