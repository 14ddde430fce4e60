"""All that training needs to go on as if it had never stopped, in one safetensors file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .._errors import ArtifactError
from .._types import State
from ..artifacts import FORMAT, store


@dataclass
class Position:
    """Where training stands, between two batches.

    Args:
        epoch: passes over the data finished.
        index: batches done in the present one.
        step: updates done.
        best: the lowest validation loss, in nats a step and sequence.
        stale: validations since then.
        validated: the step of the last validation.
        records: lines written to `metrics.jsonl`.
        elapsed: seconds of training, earlier sessions included.
    """

    epoch: int = 0
    index: int = 0
    step: int = 0
    best: float = float("inf")
    stale: int = 0
    validated: int = -1
    records: int = 0
    elapsed: float = 0.0


def save(
    path: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    carry: State,
    position: Position,
    random: dict[str, Tensor],
) -> None:
    """Write a checkpoint, whole or not at all."""
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    tensors |= {f"random.{name}": value for name, value in random.items()}
    form = {
        "position": asdict(position),
        "optimizer": _pack(optimizer.state_dict(), tensors),
        "carry": _pack(carry, tensors),
    }
    store.write_tensors(path, tensors, {"form": json.dumps(form)})


def restore(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, format: int = FORMAT
) -> tuple[State, Position, dict[str, Tensor]]:
    """Bring model and optimiser back; the carry, the position and the random state are returned.

    Args:
        path: of the checkpoint.
        model, optimizer: freshly made.
        format: of the run.

    Raises:
        ArtifactError: if the file is missing, damaged, or belongs to another model or optimiser.
    """
    tensors, metadata = store.read_tensors(path)
    try:
        form = json.loads(metadata["form"])
        model.load_state_dict(store.completed(_named("model.", tensors), model, format))
        optimizer.load_state_dict(_unpack(form["optimizer"], tensors))
        carry, position = _unpack(form["carry"], tensors), Position(**form["position"])
    except (AttributeError, KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise ArtifactError(f"{path} is no checkpoint of this model and optimiser: {reason}") from None
    return carry, position, _named("random.", tensors)


def _named(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _pack(tree: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(tree, Tensor):
        name = f"tree.{len(tensors)}"
        tensors[name] = tree.clone()
        return {"tensor": name}
    if isinstance(tree, dict):
        return {"dict": [[key, _pack(value, tensors)] for key, value in tree.items()]}
    if isinstance(tree, (tuple, list)):
        return {type(tree).__name__: [_pack(value, tensors) for value in tree]}
    return {"plain": tree}


def _unpack(form: Any, tensors: dict[str, Tensor]) -> Any:
    ((kind, content),) = form.items()
    match kind:
        case "tensor":
            # A fresh one is aligned as those of a training that never stopped: where it is not, sums differ in a bit.
            return tensors[content].clone()
        case "dict":
            return {key: _unpack(value, tensors) for key, value in content}
        case "tuple":
            return tuple(_unpack(value, tensors) for value in content)
        case "list":
            return [_unpack(value, tensors) for value in content]
        case "plain":
            return content
    raise ValueError(f"unknown form {kind!r}")
