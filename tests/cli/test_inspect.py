"""`throughtime inspect` and `explore`: the verdict first, one file, nothing half-written, one line for bad input."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

Run = Callable[..., Any]
explore_module = sys.modules["throughtime.cli.explore"]


def document(page: Path) -> dict[str, Any]:
    found = re.search(r'<script type="application/json"[^>]*>(.*?)</script>', page.read_text("utf-8"), re.DOTALL)
    assert found is not None
    return json.loads(found[1])


@pytest.mark.parametrize("name", ["hourly", "long", "book", "tone"])
def test_the_verdict_comes_first_and_the_page_is_written(
    throughtime: Run, runs: Path, tmp_path: Path, name: str
) -> None:
    page = tmp_path / "seen.html"
    outcome = throughtime("inspect", runs / name, "--out", page, "--anchors", "4")
    assert outcome.code == 0, outcome.err
    words = ("vanishing", "exploding", "healthy", "inconclusive")
    assert outcome.out.split(":")[0] in words
    assert re.search("[▁▂▃▄▅▆▇█]", outcome.out)
    for figure in ("left", "slope", "1 % reaches", "95 % within"):
        assert figure in outcome.out
    seen = document(page)
    assert seen["title"] == str(runs / name)
    assert seen["verdict"]["word"] == outcome.out.split(":")[0]


def test_symbols_stand_in_the_page(throughtime: Run, runs: Path, tmp_path: Path) -> None:
    page = tmp_path / "seen.html"
    assert throughtime("inspect", runs / "book", "--out", page, "--steps", "12", "--anchors", "2").code == 0
    seen = document(page)
    assert seen["steps"] == 12
    assert len(seen["symbols"][0]) == 12
    assert all(len(symbol) >= 1 for symbol in seen["symbols"][0])


def test_json(throughtime: Run, runs: Path, tmp_path: Path) -> None:
    page = tmp_path / "seen.html"
    outcome = throughtime("inspect", runs / "hourly", "--out", page, "--anchors", "2", "--lag", "3", "--json")
    assert outcome.json["page"] == str(page)
    assert outcome.json["task_lag"] == 3
    assert outcome.json["verdict"]["lag"] == 3
    assert len(outcome.json["figures"]) == 5


def test_a_file_other_than_the_training_data(throughtime: Run, runs: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.txt"
    other.write_text("the lazy dog jumps over the quick brown fox.\n" * 40)
    outcome = throughtime(
        "inspect", runs / "book", other, "--out", tmp_path / "a.html", "--steps", "9", "--anchors", "2"
    )
    assert outcome.code == 0, outcome.err
    assert "".join(document(tmp_path / "a.html")["symbols"][0]).startswith("the")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--steps", "1"], "--steps"),
        (["--lag", "0"], "--lag"),
        (["--steps", "100000"], "100000 are asked for"),
        (["--out", "no/such/folder/a.html"], "no/such/folder"),
    ],
)
def test_bad_input_is_one_line(throughtime: Run, runs: Path, arguments: list[str], words: str) -> None:
    outcome = throughtime("inspect", runs / "hourly", "--anchors", "2", *arguments)
    assert outcome.code == 2
    assert words in outcome.err
    assert len(outcome.err.strip().splitlines()) == 1


def test_a_model_that_counts_is_refused(throughtime: Run, samples: Path, tmp_path: Path) -> None:
    run = tmp_path / "counted"
    assert throughtime("train", samples / "book.txt", "--model", "markov:2", "--out", run).code == 0
    outcome = throughtime("inspect", run)
    assert outcome.code == 2
    assert "it counts, and no gradient flows in it" in outcome.err


def test_explore_serves_the_page_until_it_is_interrupted(
    throughtime: Run, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    pages: list[str] = []

    def interrupted(seconds: float) -> None:
        pages.append(urlopen(opened[0]).read().decode())
        raise KeyboardInterrupt

    monkeypatch.setattr(explore_module, "sleep", interrupted)
    monkeypatch.setattr(explore_module.webbrowser, "open", opened.append)
    outcome = throughtime("explore", runs / "hourly", "--anchors", "2")
    assert outcome.code == 0, outcome.err
    assert opened[0] in outcome.out
    assert opened[0].startswith("http://127.0.0.1:")
    assert "throughtime" in pages[0]
