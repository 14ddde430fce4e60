"""One training of one model, and all that a comparison measures of it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .._errors import ConfigurationError
from .._files import replacing
from .._state import size_of
from ..artifacts import Run, SeriesRun, SymbolRun, load, store
from ..data import SeriesData, SoundData, TextData
from ..gradients import gradient_memory
from ..models import count_parameters, negative_log_likelihood
from ..training import Fitting, Training, first_batch
from .backtest import backtest
from .cost import density_seconds, sampling_seconds
from .likelihood import in_bits, likelihood

TRIAL = "trial.json"
LEARNING = "learning.jsonl"

Data = SeriesData | TextData | SoundData


@dataclass(frozen=True)
class Trial:
    """What one training came to.

    Args:
        seed: of its random numbers.
        figures: by metric, on the test part.
        parts: by metric, the same in several stretches of the test part, in order.
        sizes: by metric, how many values each of these is the mean of.
        baselines: by name, the figures of what costs nothing.
        parameters: how many numbers were learnt.
        memory: bytes of a step of training: parameters, their gradient, what the optimiser keeps, and what the backward
            of one batch needs.
        training_seconds: validation included.
        learning: (seconds of training, validation loss in nats), in order.
        density_seconds, sampling_seconds: of one step of one sequence.
        samples: sampled futures of each forecast.
    """

    seed: int
    figures: dict[str, float]
    parts: dict[str, list[float]]
    sizes: dict[str, list[int]]
    baselines: dict[str, dict[str, float]]
    parameters: int
    memory: int
    training_seconds: float
    learning: list[list[float]]
    density_seconds: float
    sampling_seconds: float
    samples: int

    def seconds_to(self, quality: float) -> float:
        """Seconds of training until the validation loss was at most `quality`; infinite where it never was."""
        return next((seconds for seconds, loss in self.learning if loss <= quality), math.inf)


def trial(
    training: Training | Fitting,
    data: Data,
    *,
    samples: int = 100,
    told: Callable[[str, float], None] = lambda phase, share: None,
) -> Trial:
    """Train, or go on training, and measure; what its folder tells already is not done again.

    Args:
        training: freshly prepared.
        data: what it was prepared on.
        samples: sampled futures of each forecast.
        told: is told what is being done, and the share of it.

    Raises:
        ConfigurationError: where the folder holds a run of other settings or samples, or on other data.
        KeyboardInterrupt: where training was interrupted; it can go on.
    """
    folder = training.run.folder
    if (folder / store.CONFIGURATION).exists():
        found = load(folder, weights=False)
        wanted = json.loads(json.dumps(training.run.data))
        if found.configuration != training.run.configuration or found.data != wanted:
            raise ConfigurationError(f"{folder} holds a run with other settings or data: name another folder")
        if (folder / TRIAL).exists():
            kept = Trial(**store.read_json(folder / TRIAL))
            if kept.samples != samples:
                raise ConfigurationError(
                    f"{folder} was measured by {kept.samples} samples, not {samples}: name another"
                )
            return kept
        if isinstance(training, Training) and any((folder / one).exists() for one in (store.CHECKPOINT, store.WEIGHTS)):
            training.resume()
        else:
            for name in (store.CONFIGURATION, store.WEIGHTS, store.METRICS, LEARNING):
                (folder / name).unlink(missing_ok=True)
    learning = _Learning(training, told)
    training.observers = [learning]
    if training.fit() == "interrupted":
        raise KeyboardInterrupt
    figures, parts, sizes, baselines = _scores(training.run, data, samples, lambda share: told("evaluating", share))
    told("timing", 0.0)
    measured = Trial(
        seed=training.settings.seed,
        figures=figures,
        parts=parts,
        sizes=sizes,
        baselines=baselines,
        parameters=count_parameters(training.model),
        memory=_memory(training, data),
        training_seconds=training.position.elapsed,
        learning=learning.curve(),
        density_seconds=density_seconds(training.run, data),
        sampling_seconds=sampling_seconds(training.run, data),
        samples=samples,
    )
    store.write_json(folder / TRIAL, asdict(measured))
    return measured


class _Learning:
    """Keeps when each validation was, and how good, beside the run."""

    def __init__(self, training: Training | Fitting, told: Callable[[str, float], None]) -> None:
        self.training, self.told = training, told
        self.path: Path = training.run.folder / LEARNING
        self.records: list[dict[str, int | float]] = []

    def __call__(self, event: str, record: Mapping[str, Any]) -> None:
        if event == "begin":
            self._begin(record["step"])
        elif event == "step":
            self.told("training", record["share"])
        elif event == "validation":
            seconds = self.training.position.elapsed
            self._write({"step": record["step"], "seconds": seconds, "loss": record["validation_loss"]})

    def curve(self) -> list[list[float]]:
        """(seconds, loss) of each."""
        return [[record["seconds"], record["loss"]] for record in self.records]

    def _begin(self, step: int) -> None:
        """What was kept of steps that will be done again is forgotten."""
        if self.path.exists():
            lines = self.path.read_text(encoding="utf-8").splitlines()
            self.records = [record for record in map(json.loads, lines) if record["step"] <= step]

    def _write(self, record: dict[str, int | float]) -> None:
        self.records.append(record)
        with replacing(self.path) as temporary:
            temporary.write_text("".join(json.dumps(one) + "\n" for one in self.records), encoding="utf-8")


def _scores(
    run: Run, data: Data, samples: int, progress: Callable[[float], None]
) -> tuple[dict[str, float], dict[str, list[float]], dict[str, list[int]], dict[str, dict[str, float]]]:
    """Figures, the same in stretches, the sizes of these, and the figures of the baselines, each by metric."""
    if isinstance(run, SeriesRun):
        assert isinstance(data, SeriesData)
        forecast = backtest(run, data, samples=samples, progress=progress)
        model = {"crps": forecast.model.crps, "mae": forecast.model.mae, "log_likelihood": forecast.log_likelihood}
        baselines = {name: {"crps": one.crps, "mae": one.mae} for name, one in forecast.baselines.items()}
        parts = {name: list(figures) for name, figures in forecast.parts.items()}
        return model, parts, {name: list(counts) for name, counts in forecast.sizes.items()}, baselines
    assert isinstance(run, SymbolRun)
    assert not isinstance(data, SeriesData)
    found = likelihood(run, data, progress=progress)
    bits, nats = f"bits_per_{found.unit}", f"nats_per_{found.unit}"
    parts = {bits: [in_bits(part)["bits"] for part in found.parts], nats: list(found.parts)}
    baselines = {name: {bits: one["bits"], nats: one["nats"]} for name, one in found.baselines.items()}
    sizes = {metric: list(found.sizes) for metric in parts}
    return {bits: found.model["bits"], nats: found.model["nats"]}, parts, sizes, baselines


def _memory(training: Training | Fitting, data: Data) -> int:
    size = size_of([*training.model.parameters(), *training.model.buffers()])
    if isinstance(training, Fitting):
        return size
    trained = size_of([one for one in training.model.parameters() if one.requires_grad])
    kept = size_of(list(training.optimizer.state.values()))
    batch = first_batch(training.run, data).to(training.device)
    training.model.train()
    saved = gradient_memory(training.model, batch, negative_log_likelihood, training.strategy)
    training.model.eval()
    return size + trained + kept + saved
