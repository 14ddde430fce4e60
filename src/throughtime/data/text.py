"""Text as tokens: by character or by byte, of a file or a folder, larger than memory if need be."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .._errors import ConfigurationError, DataError
from .source import Source, blocks, checked, head
from .vocabulary import Unit, Vocabulary, code_points
from .workspace import Growing, folder_for

_CODE_POINTS = 0x110000
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


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


def read_text(
    path: str | Path,
    *,
    unit: Unit = "character",
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
    files = _files(path)
    source = Source.of(path, files)
    if source.size < 2:
        raise DataError(f"{path} holds {source.size} bytes of text: at least two symbols are expected")
    if unit == "byte":
        return TextData(_byte_tokens(path, files, source.size, workspace), Vocabulary.bytes(), source, "bytes")
    for file in files:
        _refuse_binary(file)
    encoding, counts = _survey(path, files)
    if vocabulary is None:
        vocabulary = Vocabulary(tuple(chr(code) for code in np.flatnonzero(counts)))
    tokens = Growing(vocabulary.dtype, None, folder_for(source.size, workspace))
    for codes in _decoded(path, files, encoding):
        try:
            tokens.append(vocabulary.encode_codes(codes, offset=tokens.rows))
        except DataError as error:
            raise DataError(f"{path}: {error}") from None
    if tokens.rows < 2:
        raise DataError(f"{path} holds {tokens.rows} characters: at least two are expected")
    return TextData(tokens.array(), vocabulary, source, encoding)


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    files = sorted(
        file
        for file in path.rglob("*")
        if file.is_file() and not any(part.startswith(".") for part in file.relative_to(path).parts)
    )
    if not files:
        raise DataError(f"{path} is a folder without a file: text files are expected in it")
    return files


def _refuse_binary(file: Path) -> None:
    start = head(file)
    if start.startswith(_UTF16):
        raise DataError(f"{file} is UTF-16 (by its first two bytes): save it as UTF-8")
    if b"\0" in start:
        raise DataError(
            f"{file} is binary: a zero byte stands at position {start.index(0)}; text is expected "
            "(or read it by byte: unit='byte')"
        )


def _byte_tokens(path: Path, files: list[Path], size: int, workspace: Any) -> np.ndarray:
    if files == [path] and path.suffix.lower() != ".gz":
        return np.memmap(path, np.uint8, "c")
    tokens = Growing(np.dtype(np.uint8), None, folder_for(size, workspace))
    for file in files:
        for block in blocks(file):
            tokens.append(np.frombuffer(block, np.uint8))
    return tokens.array()


def _survey(path: Path, files: list[Path]) -> tuple[str, np.ndarray]:
    """The encoding that reads every byte, and how often each code point comes."""
    failure: UndecodableError | None = None
    for encoding in ("utf-8", "cp949"):
        try:
            counts = np.zeros(_CODE_POINTS, np.int64)
            for codes in _decoded(path, files, encoding):
                counts += np.bincount(codes, minlength=_CODE_POINTS)
            return encoding, counts
        except UndecodableError as error:
            failure = failure or error
    assert failure is not None
    raise DataError(f"{failure}; nor is it CP949: save it as UTF-8, or read it by byte (unit='byte')")


class UndecodableError(DataError):
    """Bytes that are not what an encoding allows; says where."""


def _decoded(path: Path, files: list[Path], encoding: str) -> Iterator[np.ndarray]:
    for file in files:
        for text in decoded(file, encoding):
            yield code_points(text)


def decoded(file: Path, encoding: str, size: int = 1 << 20) -> Iterator[str]:
    """The text of a file, block by block, without its byte order mark.

    Raises:
        UndecodableError: naming the byte and its position, counted from 0.
    """
    decoder = codecs.getincrementaldecoder("utf-8-sig" if encoding == "utf-8" else encoding)()
    position = 0
    for block in _and_end(blocks(file, size)):
        held = decoder.getstate()[0]
        try:
            text = decoder.decode(block, final=not block)
        except UnicodeDecodeError as error:
            place = position - len(held) + error.start
            raise UndecodableError(
                f"{file} is not {encoding.upper()}: byte 0x{error.object[error.start]:02x} at position {place}"
            ) from None
        position += len(block)
        if text:
            yield text


def _and_end(items: Iterator[bytes]) -> Iterator[bytes]:
    yield from items
    yield b""
