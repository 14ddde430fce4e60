from pathlib import Path

import numpy as np
import pytest
import soundfile

from throughtime._errors import ConfigurationError, DataError
from throughtime.data import LabelledLayout, Source, kind_of, read_labelled
from throughtime.data.labelled.frames import Frames

DIGITS = Path(__file__).parents[2].parent / "shared" / "data" / "fsdd"


def tone(path, hertz, seconds=0.2, rate=8000, format=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.5 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate), rate, format=format)


@pytest.fixture
def tones(tmp_path) -> Path:
    for name, hertz in (("low_1", 300), ("high_1", 2000), ("low_2", 310), ("high_2", 2100)):
        tone(tmp_path / "tones" / f"{name}.wav", hertz)
    return tmp_path / "tones"


def mel(hertz):
    return 1127.01048 * np.log1p(hertz / 700)


def plain_frame(samples, rate, bands):
    """One frame by its definition: a discrete Fourier transform by its sum, triangles in mel one by one."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(len(samples)) / len(samples))
    size = 256
    weights = window / window.sum()
    edges = np.linspace(0, mel(rate / 2), bands + 2)
    found = np.zeros(bands)
    for k in range(size // 2 + 1):
        phase = -2j * np.pi * k * np.arange(len(samples)) / size
        power = abs((samples * weights * np.exp(phase)).sum()) ** 2
        hertz = k * rate / size
        for band in range(bands):
            low, middle, high = 700 * np.expm1(edges[band : band + 3] / 1127.01048)
            found[band] += power * max(0, min((hertz - low) / (middle - low), (high - hertz) / (high - middle)))
    return np.log(np.maximum(found, 1e-10))


def test_a_frame_follows_its_definition() -> None:
    samples = np.random.default_rng(0).normal(size=200)
    found = Frames(8000).of(samples)
    assert found.shape == (1, 40)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[0], plain_frame(samples, 8000, 40), rtol=1e-4, atol=1e-4)


def test_frames_move_with_the_sound() -> None:
    samples = np.random.default_rng(1).normal(size=4000)
    whole, later = Frames(8000).of(samples), Frames(8000).of(samples[80:])
    np.testing.assert_allclose(whole[1 : 1 + len(later)], later[: len(whole) - 1], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("rate", [1000, 8000, 16000, 22050, 44100, 48000])
def test_every_band_hears_something_at_every_rate(rate) -> None:
    found = Frames(rate).of(np.random.default_rng(0).normal(size=rate))
    assert abs(len(found) - 98) <= 2
    assert (found.std(axis=0) > 0).all()
    assert found.min() > np.log(1e-10)


def test_silence_and_shortness_are_finite() -> None:
    assert (Frames(8000).of(np.zeros(1000)) == np.float32(np.log(1e-10))).all()
    assert Frames(8000).of(np.ones(3)).shape == (1, 40)


@pytest.mark.parametrize("settings", [{"window": 0.0}, {"hop": 1e-5}, {"bands": 0}, {"sample_rate": 100}])
def test_frames_that_cannot_be(settings) -> None:
    with pytest.raises(ConfigurationError, match=r"frames of .* at \d+ Hz: expected a window and a hop of two samples"):
        Frames(**{"sample_rate": 8000} | settings)


@pytest.mark.skipif(not DIGITS.exists(), reason="the shared data folder is not here")
def test_spoken_digits() -> None:
    data = read_labelled(DIGITS)
    assert len(data) == 60
    assert data.layout.classes == tuple("0123456789")
    assert np.bincount(data.targets).tolist() == [6] * 10
    assert data.layout.sample_rate == 8000
    assert {case.shape[1] for case in data.sequences} == {40}
    for name, label, case in zip(data.names, data.labels, data.sequences, strict=True):
        assert name.startswith(f"{label}_jackson_")
        assert case.dtype == np.float32
        assert np.isfinite(case).all()
        assert abs(len(case) - soundfile.info(DIGITS / name).frames / 80) <= 4
    assert data.source.verified() == DIGITS.resolve()


def test_labels_stand_in_names(tones) -> None:
    data = read_labelled(tones)
    assert data.names == ("high_1.wav", "high_2.wav", "low_1.wav", "low_2.wav")
    assert data.labels == ("high", "high", "low", "low")
    assert data.layout.columns.label == "name"
    assert kind_of(tones) == "sound"
    described = data.describe()
    assert described.to_dict()["sample_rate"] == 8000
    described.plot().savefig(tones / "a.png")


def test_labels_stand_in_folders(tmp_path) -> None:
    for folder, name in (("cat", "1.wav"), ("dog", "a_1.flac"), ("dog", "deep/2.wav")):
        tone(tmp_path / folder / name, 400)
    data = read_labelled(tmp_path)
    assert data.names == ("cat/1.wav", "dog/a_1.flac", "dog/deep/2.wav")
    assert data.labels == ("cat", "dog", "dog")
    assert data.layout.columns.label == "folder"
    tone(tmp_path / "cat_3.wav", 400)
    with pytest.raises(
        DataError, match=r"recordings in folders \(cat/1\.wav\) and beside them \(cat_3\.wav\): put all"
    ):
        read_labelled(tmp_path)


def test_numbers_stand_in_names(tmp_path) -> None:
    for hertz in (200, 450.5):
        tone(tmp_path / f"{hertz}_a.wav", hertz)
    assert read_labelled(tmp_path, task="regress").targets.tolist() == [200, 450.5]


def test_recordings_are_brought_to_the_lowest_rate(tones) -> None:
    before = read_labelled(tones)
    tone(tones / "high_3.wav", 2000, rate=44100)
    tone(tones / "low_3.wav", 300, rate=16000)
    data = read_labelled(tones)
    assert data.layout.sample_rate == 8000
    assert data.notes == ("2 recordings of up to 44,100 samples a second resampled to 8,000",)
    same = dict(zip(data.names, data.sequences, strict=True))
    assert np.abs(same["high_3.wav"][3:-3].max(1) - same["high_1.wav"][3:-3].max(1)).max() < 0.05
    assert (same["low_3.wav"].argmax(1) == same["low_1.wav"].argmax(1)).all()
    assert before.layout.sample_rate == 8000


def test_another_folder_is_heard_alike(tones, tmp_path) -> None:
    layout = LabelledLayout.from_dict(read_labelled(tones).layout.to_dict())
    tone(tmp_path / "new" / "who.wav", 300, rate=16000)
    later = read_labelled(tmp_path / "new", layout=layout, labels_needed=False)
    assert later.targets is None
    assert later.layout.frames == Frames(8000)
    one = read_labelled(tones / "low_1.wav", layout=layout)
    assert one.names == ("low_1.wav",)
    assert one.targets.tolist() == [1]
    assert one.source == Source.of(tones / "low_1.wav")
    with pytest.raises(DataError, match=r"who\.wav has no label: name it LABEL_anything\.wav, or put it in a folder"):
        read_labelled(tmp_path / "new", layout=layout)
    tone(tmp_path / "new" / "who.wav", 300, rate=4000)
    with pytest.raises(DataError, match=r"who\.wav has 4000 samples a second, where 8000 or more are expected"):
        read_labelled(tmp_path / "new", layout=layout, labels_needed=False)


def test_what_is_no_sound_is_told_of(tones, tmp_path) -> None:
    (tones / "README.md").write_text("tones")
    assert read_labelled(tones).notes == ("1 file that is no sound was left aside, first README.md",)
    (tones / "low_9.wav").write_bytes(b"RIFF and no more")
    with pytest.raises(DataError, match=r"low_9\.wav is no sound that can be read"):
        read_labelled(tones)
    (tones / "low_9.wav").write_bytes(b"")
    with pytest.raises(DataError, match=r"low_9\.wav is empty"):
        read_labelled(tones)
    soundfile.write(tones / "low_9.wav", np.zeros(1), 8000)
    with pytest.raises(DataError, match=r"low_9\.wav holds 1 samples: at least two"):
        read_labelled(tones)
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("words")
    with pytest.raises(DataError, match=r"texts is a folder without a recording in it: WAV or FLAC is expected"):
        read_labelled(tmp_path / "texts")
    with pytest.raises(ConfigurationError, match=r"id='who' names a column of a table"):
        read_labelled(tones, id="who")
