import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from throughtime._errors import ConfigurationError, DataError
from throughtime.data import Source, Vocabulary, read_text
from throughtime.data.files import workspace as workspace_module
from throughtime.data.symbols import text as text_module

SHARED = Path(__file__).parents[2].parent / "shared" / "data"


def written(folder, content, name="a.txt"):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@given(st.text(min_size=1, max_size=200))
def test_a_vocabulary_decodes_what_it_encodes(text):
    text = text.encode(errors="ignore").decode()
    vocabulary = Vocabulary(tuple(sorted(set(text))))
    assert vocabulary.decode(vocabulary.encode(text)) == text
    assert Vocabulary.from_dict(json.loads(json.dumps(vocabulary.to_dict()))) == vocabulary


def test_tokens_are_as_small_as_they_can_be():
    assert Vocabulary(tuple(map(chr, range(256)))).dtype == np.uint8
    assert Vocabulary(tuple(map(chr, range(257)))).dtype == np.uint16


def test_unknown_symbols_are_named_with_their_place():
    with pytest.raises(DataError, match=r"never seen in training: 'z', '한', first at position 2; .* has 3 symbols"):
        Vocabulary(("a", "b", "c")).encode("abzc한z")


def test_vocabulary_refuses_what_is_none():
    with pytest.raises(DataError, match="'ab' has 2 characters"):
        Vocabulary(("ab",))
    with pytest.raises(DataError, match="once each"):
        Vocabulary(("b", "a"))
    with pytest.raises(DataError, match="token 3 is no symbol: this vocabulary goes from 0 to 1"):
        Vocabulary(("a", "b")).decode([0, 3])


def test_bytes_decode_with_a_mark_where_they_are_no_utf8():
    vocabulary = Vocabulary.bytes()
    assert vocabulary.decode(vocabulary.encode("하늘")) == "하늘"
    assert vocabulary.decode([0x61, 0xFF]) == "a\ufffd"
    assert Vocabulary.from_dict(json.loads(json.dumps(vocabulary.to_dict()))) == vocabulary


def test_a_file_by_character(tmp_path):
    text = read_text(written(tmp_path, "가나다 가나\n"))
    assert text.vocabulary.symbols == ("\n", " ", "가", "나", "다")
    assert text.tokens.tolist() == [2, 3, 4, 1, 2, 3, 0]
    assert text.tokens.dtype == np.uint8
    assert text.counts.tolist() == [1, 1, 2, 2, 1]
    assert text.encoding == "utf-8"
    assert Source.from_dict(json.loads(json.dumps(text.source.to_dict()))) == text.source


def test_a_byte_order_mark_is_no_symbol_and_cp949_is_understood(tmp_path):
    assert read_text(written(tmp_path, b"\xef\xbb\xbfab")).vocabulary.symbols == ("a", "b")
    korean = read_text(written(tmp_path, "봄 여름 가을".encode("cp949")))
    assert korean.encoding == "cp949"
    assert korean.vocabulary.decode(korean.tokens) == "봄 여름 가을"


def test_a_file_by_byte_is_mapped(tmp_path):
    text = read_text(written(tmp_path, bytes(range(256))), unit="byte")
    assert isinstance(text.tokens, np.memmap)
    assert text.tokens.tolist() == list(range(256))
    assert len(text.vocabulary) == 256


def test_gzip_is_unpacked(tmp_path):
    path = written(tmp_path, gzip.compress(b"abcabc"), "a.txt.gz")
    assert read_text(path).tokens.tolist() == [0, 1, 2] * 2
    assert bytes(read_text(path, unit="byte").tokens) == b"abcabc"
    with pytest.raises(DataError, match=r"b\.txt\.gz is not a whole gzip file"):
        read_text(written(tmp_path, gzip.compress(b"abcabc")[:-9], "b.txt.gz"))
    with pytest.raises(DataError, match=r"c\.txt\.gz is not a whole gzip file"):
        read_text(written(tmp_path, b"plain text", "c.txt.gz"))


def test_a_folder_is_read_in_order_of_its_paths(tmp_path):
    for name, content in (("b.txt", "B"), ("a.txt", "A"), (".hidden", "x")):
        written(tmp_path, content, name)
    (tmp_path / "c").mkdir()
    written(tmp_path / "c", "C", "1.txt")
    text = read_text(tmp_path)
    assert text.vocabulary.decode(text.tokens) == "ABC"
    assert bytes(read_text(tmp_path, unit="byte").tokens) == b"ABC"
    assert text.source.size == 3


def test_a_given_vocabulary_is_kept(tmp_path):
    vocabulary = Vocabulary(("a", "b", "c"))
    assert read_text(written(tmp_path, "cc"), vocabulary=vocabulary).tokens.tolist() == [2, 2]
    with pytest.raises(DataError, match=r"a\.txt: symbols never seen in training: 'd', first at position 1;"):
        read_text(written(tmp_path, "cd"), vocabulary=vocabulary)
    with pytest.raises(ConfigurationError, match="the vocabulary given is one of characters"):
        read_text(written(tmp_path, "cc"), unit="byte", vocabulary=vocabulary)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"a\.txt is empty: 0 bytes"),
        (b"a", r"holds 1 bytes of text: at least two"),
        (b"\xef\xbb\xbfa", r"holds 1 characters: at least two"),
        (b"abc\0def", r"a\.txt is binary: a zero byte stands at position 3"),
        (b"abc\xff\xff", r"a\.txt is not UTF-8: byte 0xff at position 3; nor is it CP949: save it as UTF-8"),
        ("ab".encode("utf-16"), r"a\.txt is UTF-16 .*: save it as UTF-8"),
    ],
)
def test_refusals(tmp_path, content, message):
    with pytest.raises(DataError, match=message):
        read_text(written(tmp_path, content))


def test_more_refusals(tmp_path):
    written(tmp_path, "a", "poems.txt")
    with pytest.raises(DataError, match=r"poem\.txt: no such file or folder; did you mean .*poems\.txt\?"):
        read_text(tmp_path / "poem.txt")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="a folder without a file"):
        read_text(tmp_path / "empty")
    with pytest.raises(DataError, match="a MATLAB file"):
        read_text(written(tmp_path, b"MATLAB", "x.mat"))
    with pytest.raises(ConfigurationError, match="unit='word': expected 'character' or 'byte'"):
        read_text(tmp_path / "poems.txt", unit="word")


def test_the_bad_byte_is_found_across_blocks(tmp_path):
    content = b"a" * 9 + "한".encode() + b"b" * 5 + b"\xff"
    path = written(tmp_path, content)
    for size in range(1, 12):
        with pytest.raises(DataError, match="byte 0xff at position 17"):
            list(text_module.decoded(path, "utf-8", size))


def test_a_large_text_is_kept_on_disk_and_nothing_is_left_there(tmp_path, monkeypatch):
    monkeypatch.setattr(workspace_module, "IN_MEMORY", 100)
    space = tmp_path / "space"
    space.mkdir()
    text = read_text(written(tmp_path, "나비 " * 100), workspace=space)
    assert isinstance(text.tokens, np.memmap)
    assert text.vocabulary.decode(text.tokens[:3]) == "나비 "
    assert not list(space.iterdir())
    with pytest.raises(DataError, match=r"workspace .*missing cannot take the data"):
        read_text(tmp_path / "a.txt", workspace=tmp_path / "missing")


@pytest.mark.skipif(not (SHARED / "tinyshakespeare").exists(), reason="the shared data folder is not here")
def test_tiny_shakespeare():
    text = read_text(SHARED / "tinyshakespeare" / "input.txt")
    assert len(text.tokens) == 1_115_394
    assert len(text.vocabulary) == 65
    assert text.vocabulary.decode(text.tokens[:14]) == "First Citizen:"
