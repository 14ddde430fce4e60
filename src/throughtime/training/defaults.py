"""Settings that work where none are given, by the kind of the data."""

from __future__ import annotations

from typing import Any

from .._errors import ConfigurationError
from ..artifacts import TrainingSettings
from ..data import Labelled, MusicData, SeriesData
from ..models import AnyFamily, family

_BATCHES_OF_TEXT = 6500
_FRAMES_AT_ONCE = 256


def family_defaults(data: Any, **given: Any) -> AnyFamily:
    """A GRU for series, convolutions for labels, an LSTM for symbols and music; networks are larger for texts."""
    if isinstance(data, SeriesData):
        return family({"name": "gru"} | given)
    if isinstance(data, Labelled):
        name = given.get("name", "tcn")
        if name == "tcn":
            # A single column has its meaning in its shape, which longer kernels see at once.
            layers, units, kernel = (3, 64, 9) if len(data.layout.features) == 1 else (5, 32, 3)
            given = {"norm": "batch", "num_layers": layers, "hidden_size": units, "kernel_size": kernel} | given
        return family({"name": name} | given)
    if isinstance(data, MusicData):
        name = given.get("name", "lstm")
        network = {} if name in ("ar", "markov") else {"hidden_size": 200, "dropout": 0.5}
        return family({"name": name} | network | given)
    small = len(data.tokens) < 500_000
    wide = {"hidden_size": 128 if small else 256, "dropout": 0.1}
    deep = {"num_layers": 1 if small else 2}
    suited = {
        "rnn": wide | deep,
        "gru": wide | deep,
        "lstm": wide | deep,
        "mingru": wide | {"num_layers": 2 if small else 3},
        "minlstm": wide | {"num_layers": 2 if small else 3},
        "tcn": wide,
        "transformer": {"hidden_size": 128, "num_layers": 2 if small else 4, "context": 128},
        "mlp": wide,
    }
    name = given.get("name", "lstm")
    return family({"name": name} | suited.get(name, {}) | given)


def training_defaults(
    data: Any, task: Any, chosen: AnyFamily, optimizer: dict[str, Any] | None = None, **given: Any
) -> TrainingSettings:
    """Full gradients and early stopping for series; truncated ones for symbols, and the epochs that the text needs.

    Raises:
        ConfigurationError: for patience without a validation part to wait for.
    """
    if given.get("patience") is not None and not task.split.validation:
        raise ConfigurationError(
            f"patience {given['patience']}: there is no validation part to wait for; --split 0.7,0.1,0.2 makes one"
        )
    suited: dict[str, Any] = {"epochs": 30} | ({"patience": 8} if task.split.validation else {})
    rate = 2e-3
    if isinstance(data, Labelled):
        suited, rate = {"epochs": 20}, 5e-3
    elif isinstance(data, MusicData):
        long = max(map(len, data.pieces)) > _FRAMES_AT_ONCE
        suited = {"epochs": 20, "strategy": f"truncated:{_FRAMES_AT_ONCE}" if long else "full"}
        rate = {"rnn": 1e-3, "tcn": 2e-3}.get(chosen.name, 4e-3)
    elif not isinstance(data, SeriesData):
        batches = max(1, len(data.tokens) // (task.batch_size * task.steps))
        suited = {"epochs": min(40, max(1, round(_BATCHES_OF_TEXT / batches))), "strategy": f"truncated:{task.steps}"}
        rate = 6e-3
    if chosen.name == "transformer":
        rate /= 2
    settings = suited | given | {"optimizer": {"learning_rate": rate} | (optimizer or {})}
    return TrainingSettings.model_validate(settings)
