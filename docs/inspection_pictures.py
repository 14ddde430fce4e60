"""The pictures of the page on inspection; `python docs/inspection_pictures.py` draws them, or those that are named.

Those of the explorer are screenshots by a Chromium of the system, which playwright drives; without either they are left
as they are.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from pathlib import Path

import torch
from torch import nn

import throughtime as tt
from throughtime._plotting import PALETTE, figure, style
from throughtime.data import visible
from throughtime.inspection import dynamics, gates, gradient_flow, ledger, report
from throughtime.models import RecurrentFamily, SymbolModelConfiguration, negative_log_likelihood
from throughtime.models.losses import mean_squared_error
from throughtime.web import render

FOLDER = Path(__file__).with_name("pictures")
STEPS, HIDDEN = 100, 32


def numbers(steps: int = STEPS, sequences: int = 16) -> tt.Batch:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(steps, sequences, 2, generator=generator)
    return tt.Batch(x, torch.randn(steps, sequences, HIDDEN, generator=generator))


def flows(file: Path) -> None:
    """What is left by lag, of a plain RNN and of an LSTM that begins with long memories."""
    torch.manual_seed(0)
    layers = {
        "RNN": tt.RNN(2, HIDDEN),
        "RNN, orthogonal": tt.RNN(2, HIDDEN, recurrent_init="orthogonal"),
        "LSTM": tt.LSTM(2, HIDDEN),
        "LSTM, chrono_init=100": tt.LSTM(2, HIDDEN, chrono_init=STEPS),
    }
    drawn = figure(8, 3.4)
    axes = drawn.add_subplot()
    for (name, layer), colour in zip(layers.items(), ("vermillion", "orange", "sky", "blue"), strict=True):
        found = gradient_flow(layer, numbers(), mean_squared_error, 70)
        profile = found.lag_profile
        lags = range(profile.longest + 1)
        start = profile.mean[0]
        mean, low, high = ((part[: len(lags)] - start) / 2.302585 for part in (profile.mean, profile.low, profile.high))
        axes.fill_between(lags, low, high, color=PALETTE[colour], alpha=0.2, linewidth=0)
        axes.plot(lags, mean, color=PALETTE[colour], label=f"{name}: {found.verdict.word}")
    axes.axhline(-3, color=PALETTE["grey"], linewidth=0.8, linestyle=":")
    axes.set_ylim(-20, 1)
    axes.set_xlabel("lag: steps back from the loss")
    axes.set_ylabel("decades of the gradient that are left")
    drawn.legend(loc="outside right upper")
    drawn.savefig(file)


def the_ledger(file: Path) -> None:
    """One loss of a plain RNN on its way back."""
    torch.manual_seed(0)
    layer = tt.RNN(2, HIDDEN).double()
    batch = numbers(40)
    double = tt.Batch(batch.inputs.double(), batch.targets.double())
    ledger(layer, double, mean_squared_error).plot().savefig(file)


def the_dynamics(file: Path) -> None:
    """A plain RNN with a spectral radius of 1.5, driven."""
    torch.manual_seed(0)
    layer = tt.RNN(2, HIDDEN, recurrent_init="orthogonal")
    layer.weight_hh_l0.data *= 1.5
    dynamics(layer, numbers(400, 8), mean_squared_error).plot().savefig(file)


@cache
def text_model() -> tuple[nn.Module, tt.Batch, Callable[[int], str]]:
    """A small LSTM that has learnt a text, some lines of it, and how its symbols are written."""
    data = tt.read_text(str(files("throughtime") / "demo_data" / "shakespeare.txt"))
    torch.manual_seed(0)
    family = RecurrentFamily(name="lstm", hidden_size=64)
    model = SymbolModelConfiguration(vocabulary=len(data.vocabulary), family=family).build()
    tokens = torch.from_numpy(data.tokens).long()
    optimizer = torch.optim.Adam(model.parameters(), 4e-3)
    for _ in range(400):
        starts = torch.randint(len(tokens) - 65, (16,)).tolist()
        pieces = torch.stack([tokens[start : start + 65] for start in starts], 1)
        optimizer.zero_grad()
        tt.backward(model, tt.Batch(pieces[:-1], pieces[1:]), negative_log_likelihood)
        nn.utils.clip_grad_norm_(model.parameters(), 1000.0)
        optimizer.step()
    pieces = torch.stack([tokens[start : start + 61] for start in range(4000, 8000, 500)], 1)
    return model, tt.Batch(pieces[:-1], pieces[1:]), lambda index: visible(data.vocabulary.decode([index]))


def the_gates(file: Path) -> None:
    """Gates of that LSTM over a line."""
    model, batch, symbols = text_model()
    labels = [symbols(int(index)) for index in batch.inputs[:, 0]]
    gates(model, batch).plot(labels=labels).savefig(file)


def explorer(_: Path) -> None:
    """Three views of the page: the strip, a path, the wall."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        print("left out: playwright is not installed")
        return
    browser_path = shutil.which("chromium")
    if browser_path is None:
        print("left out: there is no chromium")
        return
    model, batch, symbols = text_model()
    told = report(model, batch, negative_log_likelihood, title="a text, by an LSTM", symbols=symbols)
    page_text = render(told.document)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = Path(folder) / "page.html"
        path.write_text(page_text, encoding="utf-8")
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1180, "height": 900}, device_scale_factor=1.5)
        for name, (part, state) in VIEWS.items():
            page.goto(f"{path.as_uri()}#{state}")
            page.wait_for_timeout(600)
            box = page.locator(part).bounding_box()
            assert box is not None
            clip = {"x": box["x"] - 16, "y": box["y"] - 8, "width": box["width"] + 32, "height": box["height"] + 16}
            page.screenshot(path=FOLDER / f"explorer-{name}.png", full_page=True, clip=clip)
        browser.close()


VIEWS = {
    "page": ("#main", "loss=50"),
    "strip": ("#explorer", "loss=50"),
    "path": ("#path", "loss=50&step=38"),
    "wall": ("#explorer", "loss=50&wall=40"),
}
PICTURES: dict[str, Callable[[Path], None]] = {
    "gradient-flow": flows,
    "ledger": the_ledger,
    "dynamics": the_dynamics,
    "gates": the_gates,
    "explorer": explorer,
}


def main() -> None:
    with style():
        for name in sys.argv[1:] or PICTURES:
            PICTURES[name](FOLDER / f"{name}.png")
            print(f"drawn: {name}")


if __name__ == "__main__":
    main()
