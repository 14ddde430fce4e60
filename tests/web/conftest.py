"""Documents that the page draws, made up: their numbers obey the schema's sums, their shapes are those of real runs."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

RNN_FORMULAS = {
    "step": ["h_t = tanh(W_ih x_t + W_hh h_{t−1} + b)"],
    "jump": ["δ_{t−1} = W_hhᵀ (δ_t ⊙ (1 − h_t²))"],
    "paths": {},
}
LSTM_FORMULAS = {
    "step": [
        "i_t, f_t, o_t = σ(W_i x_t + W_h h_{t−1} + b)",
        "C_t = f_t ⊙ C_{t−1} + i_t ⊙ g_t",
        "h_t = o_t ⊙ tanh(C_t)",
    ],
    "jump": ["δC_{t−1} = δC_t ⊙ f_t", "δh_{t−1} = W_hᵀ δa_t"],
    "paths": {"forget path": "δC_t ⊙ f_t", "input gate": "W_hiᵀ (δC_t ⊙ g_t ⊙ i_t ⊙ (1 − i_t))"},
}
LSTM_PATHS = ["forget path", "input gate", "forget gate", "cell gate", "output gate", "from above"]
GRU_PATHS = ["update path", "reset gate", "update gate", "new gate"]


def plain(values: Any) -> Any:
    """Nested lists; what is not finite as its name, and masked values as null."""
    if isinstance(values, np.ndarray):
        values = values.tolist()
    if isinstance(values, list | tuple):
        return [plain(value) for value in values]
    if isinstance(values, float) and not math.isfinite(values):
        return "NaN" if math.isnan(values) else "Infinity" if values > 0 else "-Infinity"
    return values


def wandering(random: np.random.Generator, *shape: int, pull: float = 0.85) -> np.ndarray:
    """Values that wander along their last axis."""
    values, noise = np.zeros(shape), random.normal(size=shape)
    for t in range(shape[-1]):
        values[..., t] = (pull * values[..., t - 1] if t else 0) + 0.5 * noise[..., t]
    return values


def timelines(random: np.random.Generator, kind: str, samples: int, steps: int) -> list[dict[str, Any]]:
    """The state and the gates of sixteen units."""

    def one(name: str, how: str, values: np.ndarray) -> dict[str, Any]:
        return {"name": name, "kind": how, "values": plain(np.round(values, 4))}

    def some(offset: float = 0.0) -> np.ndarray:
        return offset + wandering(random, samples, 16, steps) * 1.3

    made = [one("h", "state", np.tanh(some()))]
    if kind == "lstm":
        made.append(one("C", "state", 1.8 * some()))
    gates = {"lstm": ("input", "forget", "cell", "output"), "gru": ("reset", "update", "new")}.get(kind, ())
    for gate in gates:
        bent = np.tanh(some()) if gate in ("cell", "new") else 1 / (1 + np.exp(-some(2.0 if gate == "forget" else 0)))
        made.append(one(gate, "tanh" if gate in ("cell", "new") else "sigmoid", bent))
    return made


def flowing(
    random: np.random.Generator, begun: np.ndarray, anchors: list[int], steps: int, rate: float, spread: float
) -> tuple[list[Any], list[Any]]:
    """log10 of the norms [sample, anchor, time], null off the way, and the jumps in nats."""
    flow, jumps = [], []
    for starts in begun:
        jump = random.normal(rate, spread, steps)
        rows, nats = [], []
        for s in anchors:
            row: list[float | None] = [None] * steps
            found: list[float | None] = [None] * steps
            row[s] = norm = round(float(random.normal(-0.6, 0.2)), 4)
            for t in range(s - 1, int(starts[s]) - 1, -1):
                found[t] = float(jump[t])
                row[t] = norm = norm + float(jump[t]) / math.log(10)
            rows.append(row)
            nats.append(found)
        flow.append(rows)
        jumps.append(nats)
    return flow, jumps


def shares(random: np.random.Generator, jumps: list[Any], paths: list[str]) -> list[Any]:
    """[sample, anchor, path, time]: the first path carries most, the last may be negative."""

    def split(present: list[float | None]) -> list[list[float | None]]:
        raw = np.abs(wandering(random, len(paths), len(present))) * 0.12
        raw[-1] = -0.4 * raw[-1]
        raw[0] = 1 - raw[1:].sum(0)
        return [[None if p is None else float(v) for p, v in zip(present, row, strict=True)] for row in raw]

    return [[split(row) for row in rows] for rows in jumps]


def layer(
    random: np.random.Generator, name: str, kind: str, begun: np.ndarray, anchors: list[int], rate: float, spread: float
) -> dict[str, Any]:
    """One layer of the document."""
    steps, samples = begun.shape[1], len(begun)
    flow, jumps = flowing(random, begun, anchors, steps, rate, spread)
    rnn = kind.startswith("rnn")
    paths = ["recurrence", "from above"] if rnn else LSTM_PATHS if kind == "lstm" else GRU_PATHS
    squashing = [[[None if r is None else 1.4 * r - 0.1 for r in row] for row in rows] for rows in jumps]
    weights = [[[None if r is None else -0.4 * r + 0.1 for r in row] for row in rows] for rows in jumps]
    lags = np.arange(max(anchors) + 1)
    mean, band = rate * lags - 1.4, 0.5 + 0.25 * np.sqrt(lags)
    terms = np.abs(wandering(random, 4, steps)) + 0.02
    terms[:, steps // 3] *= -2
    blocks = {"lstm": ["input", "forget", "cell", "output"], "gru": ["reset", "update", "new"]}.get(kind, [None])
    return {
        "name": name,
        "kind": kind,
        "hidden": 64,
        "parts": ["h", "C"] if kind == "lstm" else ["h"],
        "reverse": False,
        "recurrent": True,
        "verdict": "vanishing" if rate < -0.1 else "exploding" if rate > 0.1 else "healthy",
        "units": list(range(0, 64, 4)),
        "timelines": timelines(random, kind, samples, steps),
        "anchors": anchors,
        "flow": flow,
        "accumulated": plain(np.round(-0.5 + 0.3 * wandering(random, samples, steps), 4)),
        "paths": paths,
        "shares": shares(random, jumps, paths),
        "split": {"squashing": squashing, "weights": weights} if rnn else None,
        "profile": {
            "mean": plain(mean),
            "low": plain(mean - band),
            "high": plain(mean + band),
            "slope": rate,
            "r_squared": 0.99,
            "half_life": math.log(2) / -rate if rate < 0 else None,
            "horizon": int(min(lags[-1], 4.6 / max(-rate, 1e-9))),
            "reach": int(min(lags[-1], 3 / max(-rate, 1e-9))),
        },
        "formulas": RNN_FORMULAS if rnn else LSTM_FORMULAS,
        "weights": [
            {"name": name, "block": block, "c": plain(c / c.sum())}
            for name in ("weight_hh", "weight_ih")
            for block, c in zip(blocks, terms, strict=False)
        ],
    }


def document(
    kind: str = "rnn_tanh",
    steps: int = 60,
    layers: int = 1,
    rate: float = -0.45,
    *,
    text: str | None = None,
    resets: tuple[int, ...] = (),
    anchors: int = 64,
    samples: int = 3,
    last_only: bool = False,
    title: str = "runs/adding",
    word: str = "vanishing",
) -> dict[str, Any]:
    """A whole document."""
    random = np.random.default_rng(steps + layers)
    begun = np.zeros((samples, steps), int)
    for reset in resets:
        begun[:, reset:] = reset
    followed = sorted({int(s) for s in np.linspace(min(3, steps - 1), steps - 1, min(anchors, steps)).round()})
    losses = np.abs(wandering(random, samples, steps)) + 0.05
    marks = (random.random((samples, steps)) < 0.06).astype(float)
    name = kind.split("_")[0].upper()
    left = f"{math.exp(rate * steps):.2g}"
    symbols = None if text is None else [[text[(7 * b + t) % len(text)] for t in range(steps)] for b in range(samples)]
    values = {"x₁": random.random((samples, steps)).round(3), "x₂": marks}
    return {
        "version": 1,
        "title": title,
        "subtitle": f"{name} 2 → 64, {steps} steps, {samples} of 32 sequences",
        "verdict": {
            "word": word,
            "sentence": f"{word}: {steps} steps back {left} of the gradient of {name} is left "
            "(vanishing below 0.001, exploding above 1000)",
            "lag": steps,
            "layer": name,
        },
        "figures": [
            {"name": "half-life", "value": "1.5", "unit": "steps", "meaning": "in which the gradient halves"},
            {"name": "slope", "value": "−0.45", "unit": "nats/step", "meaning": "of φ by lag, R² 0.99"},
            {"name": "horizon", "value": "10", "unit": "steps", "meaning": "back 1 % is left"},
            {"name": "reach", "value": "6", "unit": "steps", "meaning": "hold 95 % of the summed norms"},
            {"name": "left", "value": left, "unit": "", "meaning": f"of the gradient, {steps} steps back"},
        ],
        "remedies": [
            {
                "title": "orthogonal initialisation",
                "evidence": "ρ(W_hh) is 0.58: the state shrinks at each step. On a copy with orthogonal weights the "
                "verdict is healthy (0.4 left).",
                "command": "throughtime train series.csv --recurrent-init orthogonal",
            },
            {
                "title": "gating",
                "evidence": "a GRU of the same size keeps 0.2.",
                "command": "throughtime train --cell gru",
            },
        ],
        "notes": ["16 of 64 units are shown."],
        "precision": 1.19e-7,
        "truncation": None,
        "steps": steps,
        "samples": [0, 5, 9, 12][:samples],
        "symbols": symbols,
        "inputs": [] if symbols else [{"name": name, "values": plain(v)} for name, v in values.items()],
        "targets": None if symbols is None else [[*row[1:], text[0] if text else ""] for row in symbols],
        "losses": [
            [None if last_only and t < steps - 1 else round(float(v), 4) for t, v in enumerate(row)] for row in losses
        ],
        "begun": begun.tolist(),
        "layers": [
            layer(random, f"{name} {i}" if layers > 1 else name, kind, begun, followed, rate, 0.22 + 0.05 * i)
            for i in range(layers)
        ],
    }


@pytest.fixture(scope="session")
def make_document() -> Callable[..., dict[str, Any]]:
    """`document`, for tests that want another."""
    return document
