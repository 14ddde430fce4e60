import gzip
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from throughtime._errors import ConfigurationError, DataError, UnsupportedError
from throughtime.data import kind_of, mu_law_decode, mu_law_encode, read_sound, write_sound

SHARED = Path(__file__).parents[2].parent / "shared" / "data"


def test_mu_law_returns_every_level():
    levels = np.arange(256, dtype=np.uint8)
    assert (mu_law_encode(mu_law_decode(levels)) == levels).all()
    assert mu_law_encode(np.array([-3.0, 3.0])).tolist() == [0, 255]


@given(st.floats(-1, 1))
def test_mu_law_is_close(value):
    assert abs(mu_law_decode(mu_law_encode(np.array([value])))[0] - value) <= 0.022 * (abs(value) + 1 / 255)


@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_sound_is_mixed_down(tmp_path, suffix):
    left, right = np.full(100, 0.5), np.full(100, -0.25)
    soundfile.write(tmp_path / f"a.{suffix}", np.stack([left, right], 1), 16000)
    sound = read_sound(tmp_path / f"a.{suffix}", encoding="real")
    assert sound.sample_rate == 16000
    assert sound.channels == (2,)
    assert sound.samples.dtype == np.float32
    np.testing.assert_allclose(sound.samples, 0.125, atol=1e-4)
    with pytest.raises(UnsupportedError, match="encoding='mu-law'"):
        _ = sound.tokens
    assert read_sound(tmp_path / f"a.{suffix}").tokens.dtype == np.uint8


def test_what_is_written_is_read_back(tmp_path):
    levels = np.random.default_rng(0).integers(0, 256, 1000).astype(np.uint8)
    write_sound(tmp_path / "a.wav", levels, 8000)
    assert (np.abs(read_sound(tmp_path / "a.wav").tokens.astype(int) - levels) <= 2).all()
    with pytest.raises(ConfigurationError, match=r"a\.mp3: sound of 16 bits is written as \.wav or \.flac"):
        write_sound(tmp_path / "a.mp3", np.zeros(3, np.uint8), 8000)
    with pytest.raises(ConfigurationError, match=r"a\.txt: sound of 16 bits is written as \.wav or \.flac"):
        write_sound(tmp_path / "a.txt", levels, 8000)
    assert [file.name for file in tmp_path.iterdir()] == ["a.wav"]


def test_sound_refusals(tmp_path, monkeypatch):
    (tmp_path / "a.wav").write_bytes(b"RIFF and no more")
    with pytest.raises(DataError, match=r"a\.wav is no sound that can be read"):
        read_sound(tmp_path / "a.wav")
    with pytest.raises(ConfigurationError, match="encoding='alaw': expected 'mu-law' or 'real'"):
        read_sound(tmp_path / "a.wav", encoding="alaw")
    soundfile.write(tmp_path / "a.wav", np.zeros(0), 8000)
    with pytest.raises(DataError, match="holds 0 samples: at least two"):
        read_sound(tmp_path / "a.wav")
    soundfile.write(tmp_path / "a.wav", np.zeros(10), 8000)
    with pytest.raises(DataError, match="8000 samples a second where 16000 are expected"):
        read_sound(tmp_path / "a.wav", sample_rate=16000)
    soundfile.write(tmp_path / "b.wav", np.zeros(10), 16000)
    with pytest.raises(DataError, match=r"b\.wav has 16000 samples a second where 8000"):
        read_sound(tmp_path)
    monkeypatch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'throughtime\[sound\]'"):
        read_sound(tmp_path / "a.wav")


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.csv", b"x", "series"),
        ("a.csv.gz", b"x", "series"),
        ("a.parquet", b"PAR1", "series"),
        ("a.wav", b"RIFF", "sound"),
        ("noname", b"RIFF....WAVE", "sound"),
        ("a.txt", b"To be, or not to be,\nthat is the question:\n", "text"),
        ("a.txt", b"one word", "text"),
        ("a.txt", b"1.5,2\n2.5,3\n", "series"),
        ("a.txt", "날짜\t기온\n2024-01-01\t1\n2024-01-02\t2\n".encode("cp949"), "series"),
        ("a.txt.gz", gzip.compress(b"1,2\n2,3\n", mtime=0), "series"),
        ("a.md", b"emma\nolivia\nava\n", "text"),
    ],
)
def test_kinds(tmp_path, name, content, kind):
    (tmp_path / name).write_bytes(content)
    assert kind_of(tmp_path / name) == kind


def test_kind_refusals(tmp_path):
    with pytest.raises(DataError, match="no such file or folder"):
        kind_of(tmp_path / "a")
    (tmp_path / "empty").touch()
    with pytest.raises(DataError, match="is empty: 0 bytes"):
        kind_of(tmp_path / "empty")
    (tmp_path / "binary").write_bytes(b"\x7fELF\0\0")
    with pytest.raises(DataError, match="is binary: a zero byte stands at position 4"):
        kind_of(tmp_path / "binary")
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(DataError, match="a folder without a file"):
        kind_of(folder)
    (folder / "a.wav").write_bytes(b"x")
    assert kind_of(folder) == "sound"
    (folder / "a.txt").write_bytes(b"x")
    with pytest.raises(DataError, match=r"mixes sound \(a\.wav\) and other files \(a\.txt\)"):
        kind_of(folder)
    (folder / "a.csv").write_bytes(b"x")
    with pytest.raises(DataError, match=r"a folder with a\.csv in it: series are read one file at a time"):
        kind_of(folder)


@pytest.mark.skipif(not (SHARED / "fsdd").exists(), reason="the shared data folder is not here")
def test_spoken_digits():
    sound = read_sound(SHARED / "fsdd")
    assert sound.sample_rate == 8000
    assert len(sound.channels) == 60
    assert len(sound.tokens) == 240_815
