"""Runs over polyphonic music: which keys are down in the next frame."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from .._errors import ConfigurationError, DataError
from .._types import State
from ..data import Excerpt, MusicData, check_frames, read_music
from ..models import Decoding, SequenceModel, device_of
from .configuration import MusicTask
from .continuation import Continuation
from .features import Track, windows
from .run import Run
from .surprise import Surprise
from .walking import walk

_AS_IT_IS = Decoding()
_STEPS_AT_ONCE = 2048


class MusicRun(Run):
    """A trained model of music.

    A piece is read after a frame of silence, step 0, so that its first frame, step 1, is foretold as all others are.

    Attributes:
        frames_per_beat: of its data.
        transitions: how often each key was up or down, by the frame before, in training: [before, now, key].
    """

    split_unit = "pieces or frames"

    frames_per_beat: int
    transitions: np.ndarray
    task: MusicTask
    model: SequenceModel

    def _restore(self) -> None:
        assert isinstance(self.configuration.task, MusicTask)
        self.task = self.configuration.task
        self.frames_per_beat = self.data["frames_per_beat"]
        check_frames(self.frames_per_beat)
        self.transitions = counts = np.array(self.data["transitions"])
        if counts.shape != (2, 2, self.model.size) or counts.dtype.kind != "i" or (counts < 0).any():
            raise ValueError(
                f"its counts are {counts.dtype} {list(counts.shape)}, expected whole numbers, none below 0, "
                f"[2, 2, {self.model.size}]"
            )

    def read(self, source: Any = None) -> MusicData:
        """Read a MIDI file or a folder of them by the frames of training."""
        path = self.source.verified() if source is None else source
        return read_music(path, frames_per_beat=self.frames_per_beat)

    def parts(self, data: MusicData) -> tuple[list[Excerpt], list[Excerpt], list[Excerpt]]:
        """What of the training data trained, chose and tests the model."""
        self._check(data)
        return data.parted(self.task.split, self.configuration.training.seed)

    def excerpts(self, data: MusicData) -> list[Excerpt]:
        """Each piece, all of whose frames count.

        Raises:
            DataError: where the data has other frames than the run.
        """
        self._check(data)
        return [Excerpt(name, piece) for name, piece in zip(data.names, data.pieces, strict=True)]

    def _check(self, data: MusicData) -> None:
        if data.frames_per_beat != self.frames_per_beat:
            raise DataError(
                f"the data has {data.frames_per_beat} frames a beat, the run {self.frames_per_beat}: "
                "read it by run.read"
            )

    def generate(
        self, length: int, prompt: np.ndarray | None = None, *, decoding: Decoding = _AS_IT_IS, seed: int = 0
    ) -> Continuation:
        """Draw `length` frames after those of `prompt` [time, 88], which come first in the result, or from silence.

        Raises:
            ConfigurationError: if the length is below 1.
            ShapeError: if the prompt is not [time, 88].
            DataError: if it has no frame, or something in it is not a number.
        """
        if length < 1:
            raise ConfigurationError(f"length {length}: at least one frame must be generated")
        opened = np.zeros((1, self.model.size), bool) if prompt is None else Excerpt("", prompt).opened
        given = self._inputs(opened)
        self.model.eval()
        with torch.random.fork_rng(devices=[]), torch.inference_mode():
            torch.manual_seed(seed)
            state = self.model(given[:-1])[1] if len(given) > 1 else None
            drawn = self.model.sample(length, given[-1], state, decoding=decoding)[:, 0].bool().cpu().numpy()
        return Continuation(np.concatenate([opened[1:], drawn]), len(opened) - 1, self.frames_per_beat)

    def surprise(self, data: MusicData) -> Surprise:
        """The surprise of every frame, which are called by the beats at which they begin.

        Raises:
            DataError: where the data has other frames than the run.
        """
        pieces = self.excerpts(data)
        return Surprise(tuple((one.name, self._beats(1, len(one.roll) + 1), self.score(one.roll)) for one in pieces))

    def score(self, roll: np.ndarray) -> np.ndarray:
        """The surprise −log p(x_t | x_<t) in nats of each frame of a piece [time, 88], over all keys, [time].

        Raises:
            ShapeError: if the piece is not [time, 88].
            DataError: if it has no frame, or something in it is not a number.
        """
        pair = Excerpt("", roll).pair
        self.model.eval()

        def read(part: slice, state: State) -> tuple[np.ndarray, State]:
            distribution, state = self.model(self._inputs(pair.inputs[part]), state)
            return -distribution.log_prob(self._inputs(pair.targets[part]))[:, 0].double().cpu().numpy(), state

        return np.concatenate([found for _, found in walk(read, len(pair), _STEPS_AT_ONCE)])

    def _tracks(self, data: MusicData) -> list[Track]:
        """Each piece by itself, from the silence before it on."""

        def track(name: str, opened: np.ndarray) -> Track:
            steps = len(opened)
            return Track(
                name,
                steps,
                "time",
                lambda part: self._inputs(opened[part]),
                lambda part: self._beats(part.start, part.stop),
                windows(steps, steps),
            )

        return [track(one.name, one.opened) for one in self.excerpts(data)]

    def _beats(self, first: int, stop: int) -> np.ndarray:
        """When the frames of these steps begin, in beats from the beginning of the piece."""
        return (np.arange(first, stop) - 1) / self.frames_per_beat

    def _inputs(self, frames: np.ndarray) -> Tensor:
        """float32 [time, 1, 88], where the model is."""
        return torch.as_tensor(frames[:, None], dtype=torch.float32, device=device_of(self.model))
