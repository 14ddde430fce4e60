"""The page's table says what the classes declare."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from throughtime import gradients

DOCS = Path(__file__).parents[2] / "docs"


def test_the_table_is_made_from_the_declarations() -> None:
    spec = importlib.util.spec_from_file_location("strategies", DOCS / "strategies.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    page = (DOCS / "gradients.md").read_text(encoding="utf-8")
    assert script.section() in page, "run: python docs/strategies.py"
    public = {
        kind for kind in vars(gradients).values() if isinstance(kind, type) and issubclass(kind, gradients.Strategy)
    }
    assert set(script.STRATEGIES.values()) == public - {gradients.Strategy}
