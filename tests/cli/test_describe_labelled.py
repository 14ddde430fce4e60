"""Sequences with a label each can be looked at before anything is trained on them."""

import numpy as np
import pytest
import soundfile

ARCHIVE = "@univariate true\n@classLabel true up down\n@data\n1,2,3:up\n3,2:down\n2,4,?:up\n"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "moves.ts").write_text(ARCHIVE)
    (tmp_path / "moves.csv").write_text("id,x,kind\na,1,up\na,2,up\nb,3,down\n")
    (tmp_path / "tones").mkdir()
    for hertz in (300, 900):
        samples = 0.5 * np.sin(2 * np.pi * hertz * np.arange(1600) / 8000)
        soundfile.write(tmp_path / "tones" / f"{hertz}_a.wav", samples, 8000)


@pytest.mark.parametrize(
    ("arguments", "classes", "lengths"),
    [
        (["moves.ts"], ["up", "down"], (2, 3)),
        (["moves.ts", "--task", "classify"], ["up", "down"], (2, 3)),
        (["moves.csv", "--task", "classify", "--label", "kind"], ["down", "up"], (1, 2)),
        (["moves.csv", "--label", "kind", "--id", "id"], ["down", "up"], (1, 2)),
        (["tones", "--task", "classify"], ["300", "900"], (18, 18)),
        (["tones", "--task", "regress"], [], (18, 18)),
    ],
)
def test_classes_and_lengths(throughtime, tmp_path, arguments, classes, lengths) -> None:
    found = throughtime("describe", *arguments, "--json")
    assert (found.code, found.err) == (0, "")
    assert found.json["kind"] == "labelled"
    assert [group["name"] for group in found.json["classes"]] == classes
    assert (found.json["shortest"], found.json["longest"]) == lengths
    assert (tmp_path / found.json["picture"]).read_bytes().startswith(b"\x89PNG")
    assert "picture: " in throughtime("describe", *arguments).out


def test_a_folder_of_labelled_recordings_is_pointed_at(throughtime, tmp_path) -> None:
    assert "LABEL_anything.wav: --task classify describes those" in throughtime("describe", "tones").err
    for file in (tmp_path / "tones").iterdir():
        file.rename(file.with_stem(file.stem.replace("_", "")))
    assert throughtime("describe", "tones").err == ""


def test_missing_values_are_counted_and_mended(throughtime) -> None:
    assert throughtime("describe", "moves.ts", "--json").json["features"][0]["missing"] == 1
    mended = throughtime("describe", "moves.ts", "--fill", "forward", "--json").json
    assert mended["features"][0]["missing"] == 0
    assert mended["notes"] == ["1 missing value in 'value' was filled (forward)"]


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("describe moves.ts --task regress", "each case has a class, so that the task is classify"),
        ("describe moves.ts --unit byte", "--unit is not for labelled sequences"),
        ("describe moves.ts --label kind", "label='kind' names a column of a table"),
        ("describe moves.csv --task classify --id who", "has no column 'who'"),
        ("describe moves.csv --task sort", "'sort' is not one of 'classify', 'regress'"),
    ],
)
def test_one_line_says_what_is_wrong(throughtime, tmp_path, command, message) -> None:
    before = sorted(tmp_path.iterdir())
    found = throughtime(*command.split())
    assert found.code == 2
    assert message in " ".join(found.err.split())
    assert found.out == ""
    assert sorted(tmp_path.iterdir()) == before
