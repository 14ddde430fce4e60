"""Trainings beside published figures: a toy protocol from the first training to the page."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import published
import pytest
from _published.protocol import Protocol
from _published.runner import Training, carried_out, protocols
from _published.tables import mean_and_spread, sections

_TOY = """
import os
import time
from pathlib import Path

from .protocol import Protocol


def run(model, seed, folder):
    assert not list(folder.iterdir())
    (folder / "anything").write_text("of its own")
    if model == "failing":
        raise RuntimeError(f"seed {seed} will not do")
    if model == "slow":
        Path(os.environ["STARTED"]).write_text("yes")
        time.sleep(60)
    with open(os.environ["DIARY"], "a") as diary:
        diary.write(f"{model} {seed}\\n")
    return {"error": float("nan") if model == "broken" else 0.25 + seed / 8, "unstated": 1.0}


def toy(name, models, data=()):
    return Protocol(
        name, f"The {name}", data, "Halves are\\n  halved.", ("error",), {"best": {"error": 0.3}, "no": {"error": 0.5}},
        "A. Body, 2001", models, run,
    )


PROTOCOLS = (toy("toy", ("small net", "failing")), toy("slow", ("slow",)), toy("away", ("a",), ("no/such.csv",)))
"""


@pytest.fixture
def toys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with protocols, a page, and room for results."""
    folder = tmp_path / "protocols"
    folder.mkdir()
    (folder / "toy.py").write_text(_TOY)
    (tmp_path / "page.md").write_text("above\n<!-- protocols -->\n<!-- end of protocols -->\nbelow\n")
    monkeypatch.setenv("DIARY", str(tmp_path / "diary"))
    monkeypatch.setenv("STARTED", str(tmp_path / "started"))
    monkeypatch.setattr(published, "busy", lambda: 0.0)
    return tmp_path


def arguments(toys: Path, *more: str) -> list[str]:
    places = {"--protocols": toys / "protocols", "--out": toys / "results", "--page": toys / "page.md"}
    return [*(str(part) for pair in places.items() for part in pair), "--threads", "1", "--seeds", "2", *more]


def test_trainings_are_kept_told_and_not_done_again(toys: Path, capsys: pytest.CaptureFixture[str]):
    published.main(arguments(toys, "--only", "toy"))
    told = capsys.readouterr().out
    assert "toy, small net, seed 1: error 0.375" in told
    assert "toy, failing, seed 0: FAILED: RuntimeError: seed 0 will not do" in told
    results = toys / "results"
    assert sorted(file.name for file in results.iterdir()) == [
        "toy-failing-0.json", "toy-failing-1.json", "toy-small-net-0.json", "toy-small-net-1.json"
    ]  # fmt: skip
    record = json.loads((results / "toy-small-net-1.json").read_text())
    assert record["metrics"]["error"] == 0.375
    assert 0 <= record["seconds"] < 10
    assert record["peak_kib"] > 1000
    page = (toys / "page.md").read_text()
    assert "| small net | 0.312 ± 0.088 | 2 |" in page
    assert "- failing, seed 1, failed: RuntimeError: seed 1 will not do" in page
    assert "](pictures/published.png)" in page
    assert (toys / "pictures" / "published.png").stat().st_size > 1000

    (results / "toy-small-net-1.json").write_text("{broken")
    published.main(arguments(toys, "--only", "toy"))
    assert (toys / "diary").read_text().split("\n") == ["small net 0", "small net 1", "small net 1", ""]
    published.main(arguments(toys, "--only", "toy", "--again", "--seeds", "1"))
    assert (toys / "diary").read_text().split("\n")[3:] == ["small net 0", ""]


def test_the_page_alone(toys: Path):
    published.main(arguments(toys, "--page-only"))
    page = (toys / "page.md").read_text()
    assert not (toys / "results").exists()
    assert "pictures" not in page  # there is nothing to draw
    assert page.startswith("above\n<!-- protocols -->\n\n## The toy\n\nHalves are halved.\n\n")
    assert "| best, published | 0.3 |  |  |  |" in page
    assert "Not run here yet." in page
    assert "Published: A. Body, 2001." in page


def test_data_that_is_missing_is_told_of(toys: Path, capsys: pytest.CaptureFixture[str]):
    published.main(arguments(toys, "--only", "away"))
    assert "left out: away, as " in capsys.readouterr().out
    assert not list((toys / "results").iterdir())


def test_an_unknown_name_is_refused(toys: Path, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as left:
        published.main(arguments(toys, "--only", "toy,tow"))
    assert left.value.code == 2
    assert "there is no protocol 'tow'; expected some of toy, slow, away" in capsys.readouterr().err


def test_a_module_that_fails_is_left_out(toys: Path, capsys: pytest.CaptureFixture[str]):
    (toys / "protocols" / "bad.py").write_text("import nothing_of_that_name")
    assert list(protocols(toys / "protocols")) == ["toy", "slow", "away"]
    assert "left out: bad.py cannot be imported (ModuleNotFoundError: No module named" in capsys.readouterr().out


def training_of(toys: Path, model: str, protocol: str = "toy") -> Training:
    file, stated = protocols(toys / "protocols")[protocol]
    return Training(file, stated, model, 0)


def test_a_figure_that_is_no_number_is_a_failure(toys: Path):
    assert carried_out(training_of(toys, "broken"), 1) == {"failure": "error is nan"}


def test_what_takes_longer_than_it_may_is_ended(toys: Path):
    started = time.monotonic()
    done = carried_out(training_of(toys, "slow", "slow"), 1, limit=0.5)
    assert done["unfinished"] == 0.5
    assert time.monotonic() - started < 30


def test_ctrl_c_keeps_what_is_done_and_ends_what_is_not(toys: Path):
    # Where tests run in the background, Ctrl-C may be ignored, and children would inherit that.
    script = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); import published as p; p.main()"
    command = [sys.executable, "-c", script, *arguments(toys, "--only", "slow")]
    surroundings = os.environ | {"PYTHONPATH": str(Path(published.__file__).parent)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=surroundings) as process:
        while not (toys / "started").exists():
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "stopped: what is done is kept" in told
    assert not list((toys / "results").iterdir())


def test_every_protocol_is_well_formed():
    found = protocols()
    assert found
    for name, (_, protocol) in found.items():
        assert isinstance(protocol, Protocol)
        assert name == protocol.name
        assert protocol.models, name
        assert protocol.words, name
        for figures in protocol.published.values():
            assert set(figures) <= set(protocol.metrics), name


def record(model: str, seed: int, **metrics: float) -> dict:
    surroundings = {"threads": 2, "processor": "one", "busy": 0.0, "versions": {"torch": "2.13.0"}}
    return {"model": model, "seed": seed, "metrics": metrics, "seconds": 10.0, "peak_kib": 2048, **surroundings}


@pytest.mark.parametrize(("higher", "bold"), [(False, "lower"), (True, "upper")])
def test_what_is_ahead_of_the_published_is_in_bold(higher: bool, bold: str):
    stated = Protocol("p", "P", (), "test", ("m",), {"a": {"m": 0.5}}, "s", ("lower", "upper"), lambda *_: {}, higher)
    told = sections({"p": stated}, {"p": [record("lower", 0, m=0.25), record("upper", 0, m=0.75)]})
    rows = {line.split(" | ")[0].strip("| "): "**" in line for line in told.splitlines() if line.startswith("| ")}
    assert rows[bold]
    assert sum(rows.values()) == 1
    assert "| lower |" in told
    assert "10 s | 2 MiB |" in told


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ([8.43], "8.43"),
        ([5.3e-5], "5.3e-5"),
        ([8.41, 8.43, 8.45], "8.430 ± 0.020"),
        ([1.0, 1.0], "1 ± 0"),
        ([5.0e-5, 6.0e-5], "(5.50 ± 0.71)e-5"),
        ([12.0, 16.0], "14.0 ± 2.8"),
        ([0.0, 0.0], "0 ± 0"),
        ([0.01846, 0.01846], "0.01846 ± 0"),
    ],
)
def test_as_many_digits_as_the_spread_is_worth(values: list[float], told: str):
    assert mean_and_spread(values) == told
