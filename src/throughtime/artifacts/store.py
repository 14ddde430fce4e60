"""Files of a run folder: each is read with its faults put into words, and written whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from .._errors import ArtifactError
from .._files import replacing
from .configuration import FORMAT, RunConfiguration, explained

CONFIGURATION = "config.json"
DATA = "data.json"
WEIGHTS = "model.safetensors"
METRICS = "metrics.jsonl"
CHECKPOINT = "checkpoint.safetensors"

_SINCE_FORMAT_2 = {"embedding.mean", "embedding.deviation"}
"""The scale of what is known in advance; runs of format 1 read it as it is, which a fresh scale does."""


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write `content` as readable JSON."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_json(path: Path) -> dict[str, Any]:
    """The object in `path`.

    Raises:
        ArtifactError: if there is no such file, or it holds no JSON object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ArtifactError(f"{path.parent} is no run folder: it has no {path.name}") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ArtifactError(f"{path} cannot be read: {error}") from None
    if not isinstance(content, dict):
        raise ArtifactError(f"{path} holds a {type(content).__name__}, expected an object")
    return content


def read_configuration(folder: Path) -> RunConfiguration:
    """The validated `config.json` of a run folder.

    Raises:
        ArtifactError: if it is missing, damaged, has unknown fields, or was written by a newer version.
    """
    if not folder.is_dir():
        raise ArtifactError(
            f"{folder} is no run folder: " + ("it is a file" if folder.exists() else "it does not exist")
        )
    path = folder / CONFIGURATION
    content = read_json(path)
    found = content.get("format")
    if isinstance(found, int) and found > FORMAT:
        raise ArtifactError(
            f"{path} has format {found}, written by throughtime {content.get('throughtime', '?')}; "
            f"this version reads up to format {FORMAT}: upgrade throughtime"
        )
    try:
        return RunConfiguration.model_validate(content)
    except ValidationError as error:
        raise ArtifactError(f"{path} is not valid: {explained(error)}") from None


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Write named tensors, with text beside them.

    Raises:
        ArtifactError: if the disk is full.
    """
    kept = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    try:
        with replacing(path) as temporary:
            save_file(kept, temporary, dict(metadata or {}))
    except SafetensorError as error:
        raise ArtifactError(f"{path} could not be written: {error}") from None


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The named tensors in `path` and the text beside them.

    Raises:
        ArtifactError: if the file is missing, truncated or otherwise damaged.
    """
    try:
        with safe_open(path, "pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except FileNotFoundError:
        raise ArtifactError(f"{path} does not exist") from None
    except (OSError, SafetensorError, ValueError) as error:
        raise ArtifactError(f"{path} is damaged or truncated: {error}") from None


def completed(tensors: Mapping[str, Tensor], model: nn.Module, format: int) -> dict[str, Tensor]:
    """`tensors` of a run of that format, and what a fresh `model` has beside them that such a run had not."""
    wanted = model.state_dict()
    missing = _SINCE_FORMAT_2 & wanted.keys() if format < 2 else ()
    return {name: wanted[name] for name in missing} | dict(tensors)


def load_weights(model: nn.Module, path: Path, format: int = FORMAT) -> None:
    """Put the weights in `path`, of a run of that format, into `model`.

    Raises:
        ArtifactError: if the file is damaged, or made for another model.
    """
    wanted, tensors = model.state_dict(), completed(read_tensors(path)[0], model, format)
    differing = sorted(wanted.keys() ^ tensors.keys())
    if not differing:
        try:
            model.load_state_dict(tensors)  # a table of counts takes any size
        except RuntimeError:
            differing = sorted(name for name, part in tensors.items() if part.shape != wanted[name].shape)
    if differing:
        raise ArtifactError(f"{path} does not fit the model in {CONFIGURATION}: {differing[0]} differs")


def read_metrics(path: Path) -> Iterator[dict[str, Any]]:
    """The records of training, none if there is no such file; a last line cut short does not count.

    Raises:
        ArtifactError: at the first line that is no record of a step, with its number.
    """
    if not path.exists():
        return
    for number, line in enumerate(path.read_bytes().split(b"\n")[:-1], 1):
        try:
            record = json.loads(line)
            numbers = (record["step"], record.get("validation_loss", 0.0))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            record, numbers = {}, (None,)
        if not all(isinstance(value, (int, float)) for value in numbers):
            raise ArtifactError(f"{path}, line {number} is no record of a step: the file is damaged")
        yield record
