"""Every setting that can be tuned, with its usual range, and where it belongs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from pydantic import ValidationError

from ..._errors import ConfigurationError
from ...models import NetworkFamily, family, family_settings
from ...training.settings import checked_settings
from .ranges import Choices, Numbers, Range, Value

Kind: TypeAlias = Literal["series", "symbols", "labels", "music"]

TRUNCATED = "truncated"
"""The strategy whose numbers are drawn, too."""


@dataclass(frozen=True)
class Tunable:
    """A setting.

    Args:
        group: one of those of `prepare`, or "truncation" for the numbers of a truncated strategy.
        key: its name there.
        usual: the range where none is given.
        optimizers: the optimisers that have it; all, where none is named.
    """

    group: str
    key: str
    usual: Range
    optimizers: tuple[str, ...] = ()


_WHOLE: dict[str, Any] = {"log": True, "whole": True}
_CLIPPED = ("sgd", "momentum", "nesterov", "adagrad", "rmsprop", "rprop", "adam", "adamw", "radam", "nadam", "adamp")
_DECAYING = tuple(name for name in _CLIPPED if name != "rprop")
_WITH_MOMENTUM = ("sgd", "momentum", "nesterov", "rmsprop")

# What others depend on comes first.
TUNABLES: dict[str, Tunable] = {
    "model": Tunable("family", "name", Choices(("rnn", "gru", "lstm", "mingru", "tcn", "transformer"))),
    "strategy": Tunable("training", "strategy", Choices(("full", TRUNCATED))),
    "k1": Tunable("truncation", "k1", Numbers(4, 128, **_WHOLE)),
    "k2": Tunable("truncation", "k2", Numbers(4, 128, **_WHOLE)),
    "optimizer": Tunable("optimizer", "name", Choices(("adamw", "radam", "adamp", "rmsprop", "nesterov"))),
    "learning-rate": Tunable("optimizer", "learning_rate", Numbers(2e-4, 3e-2, log=True)),
    "momentum": Tunable("optimizer", "momentum", Numbers(0.5, 0.99), _WITH_MOMENTUM),
    "weight-decay": Tunable("optimizer", "weight_decay", Numbers(1e-5, 0.3, log=True), _DECAYING),
    "schedule": Tunable("optimizer", "schedule", Choices(("constant", "cosine", "linear"))),
    "warmup": Tunable("optimizer", "warmup", Numbers(0, 300, whole=True)),
    "clip": Tunable("optimizer", "clip", Numbers(0.1, 10.0, log=True), _CLIPPED),
    "hidden-size": Tunable("family", "hidden_size", Numbers(16, 256, **_WHOLE, multiple=8)),
    "layers": Tunable("family", "num_layers", Numbers(1, 3, whole=True)),
    "dropout": Tunable("family", "dropout", Numbers(0.0, 0.5)),
    "recurrent-init": Tunable("family", "recurrent_init", Choices((None, "orthogonal"))),
    "chrono-init": Tunable("family", "chrono_init", Numbers(4, 512, **_WHOLE)),
    "forget-bias": Tunable("family", "forget_bias", Numbers(0.0, 3.0)),
    "layer-norm": Tunable("family", "layer_norm", Choices((False, True))),
    "kernel-size": Tunable("family", "kernel_size", Numbers(2, 7, whole=True)),
    "num-heads": Tunable("family", "num_heads", Choices((1, 2, 4, 8))),
    "context": Tunable("family", "context", Numbers(32, 512, **_WHOLE)),
    "positions": Tunable("family", "positions", Choices(("rotary", "sinusoidal", "none"))),
    "order": Tunable("family", "order", Numbers(1, 32, **_WHOLE)),
    "activation": Tunable("family", "activation", Choices(("relu", "tanh", "gelu"))),
    "segment": Tunable("family", "segment", Numbers(4, 48, **_WHOLE)),
    "head": Tunable("model", "head", Choices(("student_t", "normal", "laplace"))),
    "normalisation": Tunable("model", "normalisation", Choices(("last", "instance", "none"))),
    "embedding-size": Tunable("model", "embedding_size", Numbers(16, 256, **_WHOLE, multiple=8)),
    "pooling": Tunable("model", "pooling", Choices(("last", "mean", "attention"))),
    "lookback": Tunable("task", "lookback", Numbers(8, 512, **_WHOLE)),
    "batch-size": Tunable("task", "batch_size", Numbers(8, 128, **_WHOLE)),
    "steps": Tunable("task", "steps", Numbers(16, 256, **_WHOLE)),
    "epochs": Tunable("training", "epochs", Numbers(5, 100, **_WHOLE)),
    "patience": Tunable("training", "patience", Numbers(2, 20, whole=True)),
    "precision": Tunable("training", "precision", Choices(("float32", "bfloat16"))),
}
"""By the names that the command line gives them."""

_ONLY: dict[str, Kind] = {"lookback": "series", "head": "series", "normalisation": "series", "steps": "symbols",
                          "embedding-size": "symbols", "pooling": "labels"}  # fmt: skip

USUAL = ("learning-rate", "hidden-size", "layers", "dropout", "order", "lookback")
"""Those that are tuned where none is named, as far as the model has them."""


def applies(name: str, settings: Mapping[str, Mapping[str, Any]], kind: Kind, value: Value) -> bool:
    """Whether a model with such settings has this one; `value` is one that it could take."""
    tunable = TUNABLES[name]
    if _ONLY.get(name, kind) != kind:
        return False
    if name == "model":
        return True
    chosen = type(family({"name": settings["family"]["name"]}))
    if tunable.group == "family":
        own = {key: one for key, one in settings["family"].items() if key != tunable.key}
        try:
            family({**own, tunable.key: value})
        except ValidationError:
            return False
        return True
    if tunable.group != "task" and not (chosen.direct or issubclass(chosen, NetworkFamily)):
        return False
    if name == "normalisation":
        return chosen.direct or settings["model"].get("decoding") == "direct"
    if tunable.group == "truncation":
        return settings["training"].get("strategy") == TRUNCATED
    return not tunable.optimizers or settings["optimizer"].get("name", "adamw") in tunable.optimizers


def check(name: str, value: Value) -> None:
    """Refuse a value that no model could have.

    Raises:
        ConfigurationError: says what is wrong with it.

    Example:
        >>> check("strategy", "backwards")
        Traceback (most recent call last):
        throughtime._errors.ConfigurationError: strategy 'backwards' is not known; known: full, ...
    """
    one = TUNABLES[name]
    if one.group == "truncation":
        if not isinstance(value, int) or value < 1:
            raise ConfigurationError(f"{name} = {value}: expected a number of steps, 1 at least")
    elif name == "model":
        family_settings(str(value))
    elif not (name == "strategy" and value == TRUNCATED):
        checked_settings(one.group, {one.key: value})


def tunable(name: str) -> Tunable:
    """The setting of that name.

    Raises:
        ConfigurationError: where there is none, or it is part of the task, not of the model.
    """
    if name in ("horizon", "period", "split", "target", "fill", "unit", "encoding", "frames-per-beat", "seed"):
        raise ConfigurationError(f"{name!r} says what is asked, or on what, and has no best value: it cannot be tuned")
    if name not in TUNABLES:
        raise ConfigurationError(f"{name!r} is no setting that can be tuned; known: {', '.join(TUNABLES)}")
    return TUNABLES[name]
