"""A file that cannot be trained on as it stands can be described."""

import pytest


@pytest.fixture
def gappy(samples, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = (samples / "hourly.csv").read_text().splitlines()
    lines[5] = lines[5].split(",")[0] + ","
    del lines[100:103]
    path = tmp_path / "gappy.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_gaps_are_described_without_a_fill(throughtime, gappy) -> None:
    found = throughtime("describe", gappy, "--json")
    assert found.code == 0
    gaps = found.json["gaps"]
    assert (gaps["count"], gaps["times"]) == (1, 3)
    assert gaps["first"].startswith("2024-01-05 02:00:00 to ")
    assert found.json["columns"][0]["missing"] == 1
    assert "3 times are missing" in throughtime("describe", gappy).out


def test_gaps_are_described_with_a_fill_too(throughtime, gappy) -> None:
    found = throughtime("describe", gappy, "--fill", "linear", "--json").json
    assert (found["gaps"]["times"], found["columns"][0]["missing"]) == (3, 1)
    assert "3 times were missing: added and filled (linear)" in found["notes"]


def test_training_still_refuses_gaps(throughtime, gappy) -> None:
    found = throughtime("train", gappy)
    assert found.code != 0
    assert "fill='linear' mends it" in found.err
