"""Text as tokens: by character or by byte, of a file or a folder, larger than memory if need be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..._errors import ConfigurationError, DataError
from ..files.encoding import decoded, encoding_of, refuse_binary
from ..files.source import Source, blocks, checked, files_of
from ..files.workspace import Growing, folder_for
from .description import TextDescription, describe_text
from .vocabulary import Vocabulary, code_points

_CODE_POINTS = 0x110000
_BY_BYTE = " (or read it by byte: unit='byte')"


@dataclass(frozen=True, eq=False)
class TextData:
    """A text that was read.

    Args:
        tokens: [time], unsigned integers, an array or a memory map.
        vocabulary: what they stand for.
        source: where they came from.
        encoding: how the file was written; "bytes" where that is not asked.
    """

    tokens: np.ndarray
    vocabulary: Vocabulary
    source: Source
    encoding: str

    @property
    def counts(self) -> np.ndarray:
        """How often each symbol comes, [symbol]."""
        totals = np.zeros(len(self.vocabulary), np.int64)
        for begin in range(0, len(self.tokens), 1 << 22):
            totals += np.bincount(self.tokens[begin : begin + (1 << 22)], minlength=len(totals))
        return totals

    def describe(self) -> TextDescription:
        """What was read, in figures and a picture."""
        vocabulary = self.vocabulary
        return describe_text(
            self.source.path, vocabulary.unit, self.encoding, self.source.size, vocabulary.symbols, self.counts
        )


def read_text(
    path: str | Path,
    *,
    unit: str = "character",
    vocabulary: Vocabulary | None = None,
    workspace: str | Path | None = None,
) -> TextData:
    """Read a text file, or all files of a folder one after the other, in the order of their paths.

    UTF-8 (with or without a byte order mark) and CP949 are understood; names ending in .gz are unpacked. Files
    above 64 MiB are encoded in blocks into a file of `workspace` and mapped; as bytes, a file is mapped itself.

    Args:
        path: the file or folder.
        unit: what a token is: "character" or "byte".
        vocabulary: that of a trained model; the default gathers it from the text.
        workspace: where large texts keep their tokens; default: the system's temporary folder. What is put
            there has no name, and is gone when the tokens are, however the process ends.

    Raises:
        DataError: where the text is empty, binary, in an unknown encoding (naming the byte), or holds symbols
            that `vocabulary` lacks (naming them and the position).

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "a.txt"
        >>> _ = file.write_text("to be or not to be")
        >>> text = read_text(file)
        >>> len(text.tokens), "".join(text.vocabulary.symbols)
        (18, ' benort')
    """
    if unit not in ("character", "byte"):
        raise ConfigurationError(f"unit={unit!r}: expected 'character' or 'byte'")
    if vocabulary is not None and vocabulary.unit != unit:
        raise ConfigurationError(f"unit={unit!r}, but the vocabulary given is one of {vocabulary.unit}s")
    path = checked(path)
    files = files_of(path)
    source = Source.of(path, files)
    if source.size < 2:
        raise DataError(f"{path} holds {source.size} bytes of text: at least two symbols are expected")
    if unit == "byte":
        return TextData(_byte_tokens(path, files, source.size, workspace), Vocabulary.bytes(), source, "bytes")
    for file in files:
        refuse_binary(file, _BY_BYTE)
    encoding = encoding_of(files, _BY_BYTE)
    if vocabulary is None:
        vocabulary = _gathered(files, encoding)
    tokens = Growing(vocabulary.dtype, None, folder_for(source.size, workspace))
    for codes in _codes(files, encoding):
        try:
            tokens.append(vocabulary.encode_codes(codes, offset=tokens.rows))
        except DataError as error:
            raise DataError(f"{path}: {error}") from None
    if tokens.rows < 2:
        raise DataError(f"{path} holds {tokens.rows} characters: at least two are expected")
    return TextData(tokens.array(), vocabulary, source, encoding)


def _byte_tokens(path: Path, files: list[Path], size: int, workspace: Any) -> np.ndarray:
    if files == [path] and path.suffix.lower() != ".gz":
        return np.memmap(path, np.uint8, "c")
    tokens = Growing(np.dtype(np.uint8), None, folder_for(size, workspace))
    for file in files:
        for block in blocks(file):
            tokens.append(np.frombuffer(block, np.uint8))
    return tokens.array()


def _codes(files: list[Path], encoding: str) -> Iterator[np.ndarray]:
    for file in files:
        for text in decoded(file, encoding):
            yield code_points(text)


def _gathered(files: list[Path], encoding: str) -> Vocabulary:
    counts = np.zeros(_CODE_POINTS, np.int64)
    for codes in _codes(files, encoding):
        counts += np.bincount(codes, minlength=_CODE_POINTS)
    return Vocabulary(tuple(chr(code) for code in np.flatnonzero(counts)))
