"""Runs over symbols: text by character or byte, sound by µ-law level."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .._errors import ConfigurationError
from .._types import State
from ..data import SoundData, TextData, Vocabulary, read_sound, read_text
from ..models import Decoding, device_of
from .configuration import SymbolTask
from .features import Track, lines, windows
from .run import Run
from .surprise import Surprise
from .walking import walk

_AS_IT_IS = Decoding()
_STEPS_AT_ONCE = 2048
_LEVELS_OF_SOUND = 256


class SymbolRun(Run):
    """A trained model of symbols.

    Attributes:
        vocabulary: the symbols of text; `None` for sound.
        sample_rate: of sound, in Hz; `None` for text.
    """

    split_unit = "symbols"

    vocabulary: Vocabulary | None
    sample_rate: int | None
    task: SymbolTask

    def _restore(self) -> None:
        assert isinstance(self.configuration.task, SymbolTask)
        self.task = self.configuration.task
        text = self.data.get("vocabulary")
        self.vocabulary = None if text is None else Vocabulary.from_dict(text)
        self.sample_rate = self.data.get("sample_rate")
        if self.vocabulary is None and not isinstance(self.sample_rate, int):
            raise ValueError("it has neither a vocabulary nor a sample rate")
        found, wanted = _LEVELS_OF_SOUND if self.vocabulary is None else len(self.vocabulary), self.model.size
        if found != wanted:
            raise ValueError(f"it has {found} symbols, the model {wanted}")

    def read(self, source: Any = None) -> TextData | SoundData:
        """Read a text or recording with the symbols of the training data.

        Raises:
            DataError: if it holds a symbol never seen in training.
        """
        path = self.source.verified() if source is None else source
        if self.vocabulary is None:
            return read_sound(path, encoding="mu-law", sample_rate=self.sample_rate)
        return read_text(path, unit=self.vocabulary.unit, vocabulary=self.vocabulary)

    def generate(
        self,
        length: int,
        prompt: np.ndarray | None = None,
        *,
        decoding: Decoding = _AS_IT_IS,
        seed: int = 0,
        progress: Callable[[float], None] = lambda share: None,
    ) -> np.ndarray:
        """Draw `length` symbols after `prompt`, as indices [length]; without a prompt, from the model's start."""
        if length < 1:
            raise ConfigurationError(f"length {length}: at least one symbol must be generated")
        return np.fromiter(self._draw(length, prompt, decoding, seed, progress), dtype=np.int64, count=length)

    def _draw(
        self, length: int, prompt: np.ndarray | None, decoding: Decoding, seed: int, progress: Callable[[float], None]
    ) -> Iterator[int]:
        model: Any = self.model.eval()
        device = device_of(model)
        with torch.random.fork_rng(devices=[]), torch.inference_mode():
            torch.manual_seed(seed)
            if prompt is None or not len(prompt):
                symbol, state = model.sample(1, decoding=decoding)[0], None
                yield int(symbol)
                length -= 1
            else:
                symbols = torch.as_tensor(prompt.astype(np.int64), device=device)
                state = model(symbols[:-1, None])[1] if len(symbols) > 1 else None
                symbol = symbols[-1:]
            for step in range(length):
                distribution, state = model(symbol[None], state)
                symbol = decoding.draw(distribution)[0]
                progress((step + 1) / length)
                yield int(symbol)

    @property
    def steps_at_once(self) -> int:
        """How many steps are scored at once."""
        return _STEPS_AT_ONCE

    def surprise(self, data: TextData | SoundData) -> Surprise:
        """The surprise of every symbol, from the second on."""
        tokens = data.tokens
        return Surprise(((_name(data), self._labels(tokens[1:]), self.score(tokens)),), unit="symbol")

    def score(self, tokens: np.ndarray) -> np.ndarray:
        """The surprise −log p(x_t | x_<t) in nats of each symbol from the second on, [time − 1]."""
        self.model.eval()

        def read(part: slice, state: State) -> tuple[np.ndarray, State]:
            return self.surprise_of(tokens[part], tokens[part.start + 1 : part.stop + 1], state)

        parts = [found for _, found in walk(read, len(tokens) - 1, self.steps_at_once)]
        return np.concatenate(parts) if parts else np.zeros(0)

    @torch.inference_mode()
    def surprise_of(self, tokens: np.ndarray, following: np.ndarray, state: State) -> tuple[np.ndarray, State]:
        """−log p in nats of the symbols `following` others, each the one after, [time], and the state after the last.

        `state` is that before the first of `tokens`, of a model in evaluation; `None` begins a text.
        """
        distribution, state = self.model(self._inputs(tokens), state)
        return -distribution.log_prob(self._inputs(following))[:, 0].double().cpu().numpy(), state

    def _tracks(self, data: TextData | SoundData) -> list[Track]:
        """The whole, in lines if it is a text."""
        tokens, text = data.tokens, self.vocabulary
        line_break = "0a" if text is not None and text.unit == "byte" else "\n"
        bounds = windows(len(tokens), len(tokens))
        if text is not None and line_break in text.symbols:
            bounds = lines(tokens, text.symbols.index(line_break))
        symbols = (lambda part: self._inputs(tokens[part])), (lambda part: self._labels(tokens[part]))
        return [Track(_name(data), len(tokens), "symbol", *symbols, bounds)]

    def _labels(self, tokens: np.ndarray) -> np.ndarray:
        return np.asarray(tokens if self.vocabulary is None else self.vocabulary.labels(tokens))

    def _inputs(self, tokens: np.ndarray) -> Tensor:
        """int64 [time, 1], where the model is."""
        return torch.as_tensor(tokens.astype(np.int64)[:, None], device=device_of(self.model))


def _name(data: TextData | SoundData) -> str:
    return "" if data.source is None else Path(data.source.path).name
