"""Every example runs, checks itself, and says in one line what came of it."""

from __future__ import annotations

import ast
import runpy
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
SCRIPTS = sorted(EXAMPLES.glob("*.py"))
LONGEST = {"autodiff_tape": 150}
"""What is a whole may be longer than the 80 lines of the others: a tape, three cells on it, and their check."""


def test_there_are_examples():
    assert SCRIPTS


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_example_runs(script: Path, capsys: pytest.CaptureFixture[str]):
    runpy.run_path(str(script), run_name="__main__")
    assert len(capsys.readouterr().out.splitlines()) == 1


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_example_checks_itself(script: Path):
    text = script.read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert ast.get_docstring(tree), "an example says what it shows"
    assert any(isinstance(node, ast.Assert) for node in tree.body), "no assert at the top level, which always runs"
    assert len(text.splitlines()) <= LONGEST.get(script.stem, 80)
