"""Symbols and the numbers that stand for them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from ..._errors import DataError

Unit = Literal["character", "byte"]


@dataclass(frozen=True)
class Vocabulary:
    """The symbols of a text, in the order of their numbers.

    Args:
        symbols: one character each, in the order of their code points; for bytes, leave it to `Vocabulary.bytes()`.
        unit: "character" or "byte".

    Example:
        >>> vocabulary = Vocabulary(("a", "b", "c"))
        >>> vocabulary.encode("cab").tolist()
        [2, 0, 1]
        >>> vocabulary.decode([1, 0])
        'ba'
    """

    symbols: tuple[str, ...]
    unit: Unit = "character"

    def __post_init__(self) -> None:
        if self.unit == "character" and any(len(symbol) != 1 for symbol in self.symbols):
            wrong = next(symbol for symbol in self.symbols if len(symbol) != 1)
            raise DataError(f"symbol {wrong!r} has {len(wrong)} characters: a symbol is one character")
        if list(self.symbols) != sorted(set(self.symbols)) and self.unit == "character":
            raise DataError("the symbols of a vocabulary are expected once each, in the order of their code points")

    @classmethod
    def bytes(cls) -> Vocabulary:
        """The 256 bytes, each its own number."""
        return cls(tuple(f"{value:02x}" for value in range(256)), "byte")

    def __len__(self) -> int:
        return len(self.symbols)

    @property
    def dtype(self) -> np.dtype:
        """The smallest unsigned integers that hold every token."""
        return np.dtype(np.min_scalar_type(max(len(self) - 1, 0)))

    @cached_property
    def _codes(self) -> np.ndarray:
        return code_points("".join(self.symbols))

    @cached_property
    def _numbers(self) -> np.ndarray:
        """The token of every code point up to one past the last symbol; −1 for those that are none."""
        numbers = np.full(int(self._codes.max(initial=0)) + 2, -1, np.int32)
        numbers[self._codes] = np.arange(len(self))
        return numbers

    def encode(self, text: str, offset: int = 0) -> np.ndarray:
        """The tokens of a text, [time].

        Raises:
            DataError: naming the symbols that are not in the vocabulary, and where the first one stands
                (counted from 0, plus `offset`).
        """
        if self.unit == "byte":
            return np.frombuffer(text.encode(), np.uint8).copy()
        return self.encode_codes(code_points(text), offset)

    def encode_codes(self, codes: np.ndarray, offset: int = 0) -> np.ndarray:
        """The tokens of code points, [time]; see `encode`."""
        numbers = self._numbers
        found = numbers[np.minimum(codes, len(numbers) - 1)]
        known = found >= 0
        if not known.all():
            strangers = dict.fromkeys(chr(code) for code in codes[~known][:10_000])
            named = ", ".join(f"{symbol!r}" for symbol in list(strangers)[:5]) + (", …" if len(strangers) > 5 else "")
            raise DataError(
                f"symbols never seen in training: {named}, first at position {offset + int(np.argmin(known))}; "
                f"the vocabulary has {len(self)} symbols: leave these out, or train on text that has them"
            )
        return found.astype(self.dtype)

    def decode(self, tokens: Any) -> str:
        """The text of tokens [time]; bytes that are no UTF-8 become U+FFFD.

        Raises:
            DataError: naming a token that is no symbol's number.
        """
        tokens = np.asarray(tokens, np.int64)
        if tokens.size and (tokens.min() < 0 or tokens.max() >= len(self)):
            wrong = tokens[(tokens < 0) | (tokens >= len(self))][0]
            raise DataError(f"token {wrong} is no symbol: this vocabulary goes from 0 to {len(self) - 1}")
        if self.unit == "byte":
            return tokens.astype(np.uint8).tobytes().decode(errors="replace")
        return self._codes[tokens].tobytes().decode("utf-32-le", errors="surrogatepass")

    def labels(self, tokens: Any) -> np.ndarray:
        """The symbol of each token, as an array of strings [time]."""
        return np.array(self.symbols)[np.asarray(tokens, np.int64)]

    def to_dict(self) -> dict[str, Any]:
        """Plain strings for JSON."""
        return {"unit": self.unit, "symbols": "" if self.unit == "byte" else "".join(self.symbols)}

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> Vocabulary:
        """The inverse of `to_dict`."""
        return cls.bytes() if record["unit"] == "byte" else cls(tuple(record["symbols"]))


def code_points(text: str) -> np.ndarray:
    """The code points of a text, uint32 [time]."""
    return np.frombuffer(text.encode("utf-32-le", errors="surrogatepass"), "<u4")
