"""How the bytes of a text file become characters: UTF-8, CP949, or a refusal that names the byte."""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..._errors import DataError
from .source import blocks, head

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class UndecodableError(DataError):
    """Bytes that an encoding does not allow; says where they stand."""


def refuse_binary(file: Path, remedy: str = "") -> None:
    """Refuse a file whose beginning cannot be text."""
    start = head(file)
    if start.startswith(_UTF16):
        raise DataError(f"{file} is UTF-16 (by its first two bytes): save it as UTF-8")
    if b"\0" in start:
        raise DataError(
            f"{file} is binary: a zero byte stands at position {start.index(0)}, where text is expected{remedy}"
        )


def encoding_of(files: Sequence[Path], remedy: str = "") -> str:
    """The encoding that reads every byte of `files`: "utf-8" or "cp949".

    Raises:
        DataError: naming the first byte that is not UTF-8, where CP949 does not read the files either.
    """
    failure: UndecodableError | None = None
    for encoding in ("utf-8", "cp949"):
        try:
            for file in files:
                for _ in decoded(file, encoding):
                    pass
            return encoding
        except UndecodableError as error:
            failure = failure or error
    raise DataError(f"{failure}; nor is it CP949: save it as UTF-8{remedy}")


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
