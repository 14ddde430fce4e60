"""The pictures of the exercises; `python docs/exercise_pictures.py` draws them, or those that are named.

What they show is computed by the examples themselves.
"""

from __future__ import annotations

import contextlib
import io
import runpy
import sys
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.colors import LogNorm
from matplotlib.patches import Arc
from matplotlib.patheffects import withStroke
from matplotlib.ticker import LogLocator, MultipleLocator

from throughtime._plotting import PALETTE, figure, style

FOLDER = Path(__file__).with_name("pictures")
EXAMPLES = Path(__file__).parents[1] / "examples"
OUTLINE = [withStroke(linewidth=2.5, foreground="white")]


@cache
def example(name: str) -> dict[str, Any]:
    """What a script defines, once it has run."""
    with contextlib.redirect_stdout(io.StringIO()):
        return runpy.run_path(str(EXAMPLES / f"{name}.py"))


def counting_ones_surface(file: Path) -> None:
    """The loss over both weights, from the whole to the valley, and the ways of four descents on it."""
    script = example("counting_ones")
    descend, plain = script["descend"], torch.optim.SGD
    with np.errstate(all="ignore"):
        far, near = descend(plain, lr=1e-8), descend(plain, lr=1e-9)
    ways = {
        "plain, η = 10⁻⁸": (far, "vermillion"),
        "momentum, clipped": (script["clipped"], "black"),
        "Rprop": (script["signs"], "orange"),
        "plain, η = 10⁻⁹": (near, "purple"),
    }
    drawn = figure(8, 3.8)
    whole, valley = drawn.subplots(1, 2, width_ratios=(1.9, 1))
    for axes, rec, x in ((whole, (-2, 2), (-1, 3)), (valley, (0.8, 1.12), (0.5, 2.7))):
        grid = np.linspace(*rec, 241), np.linspace(*x, 242)
        losses = np.array([[script["loss_and_gradient"]((w_rec, w_x))[0] for w_rec in grid[0]] for w_x in grid[1]])
        levels = np.geomspace(1e-2, 1e10, 25)
        shown = axes.contourf(*grid, losses, levels, norm=LogNorm(), cmap="Blues", extend="both")
        for name, (path, colour) in ways.items():
            label = name if axes is whole else None
            axes.plot(*path.T, color=PALETTE[colour], linewidth=1.4, label=label, path_effects=OUTLINE)
        axes.plot(1, 1, "*", color="white", markeredgecolor=PALETTE["black"], markersize=12, zorder=5)
        axes.set(xlim=rec, ylim=x, xlabel="w_rec")
        axes.grid(visible=False)
    dot = {"marker": "o", "markeredgecolor": PALETTE["black"], "markersize": 6, "zorder": 5}
    whole.plot(*script["START"], color="white", **dot)
    whole.plot(*near[-1], color=PALETTE["purple"], **dot)
    around = {"color": "white", "fontsize": 8, "textcoords": "offset points"}
    whole.annotate("start", script["START"], xytext=(0, 8), ha="center", **around)
    leaves = np.interp(-2, far[[2, 1], 0], far[[2, 1], 1])
    power = int(np.log10(abs(far[3, 0])))
    whole.annotate(f"on to {far[2, 0]:.0f},\nto $10^{{{power}}}$ …", (-2, leaves), xytext=(4, -24), **around)
    for side in (-1, 1):
        whole.axvline(side, color="white", linewidth=1, linestyle=(0, (4, 3)))
        whole.annotate(
            f"w_rec = {side}", (side, -0.94), xytext=(4 * side, 0), ha="left" if side > 0 else "right", **around
        )
    whole.set_ylabel("w_x")
    valley.yaxis.set_major_locator(MultipleLocator(0.5))
    whole.set_title("the cliff", loc="left")
    valley.set_title("the valley", loc="left")
    drawn.colorbar(shown, ax=[whole, valley], label="squared error", ticks=LogLocator(subs=(1,), numticks=8))
    drawn.legend(loc="outside lower center", ncols=4)
    drawn.savefig(file)


def counting_ones_gradient(file: Path) -> None:
    """How steep the loss is along w_rec, for sequences of several lengths."""
    slope = example("counting_ones")["loss_and_gradient"]
    w_rec = np.linspace(-2, 2, 801)
    drawn = figure(7, 3.4)
    axes = drawn.add_subplot()
    for length, colour in ((10, "sky"), (20, "blue"), (40, "black")):
        x = np.random.default_rng(0).integers(0, 2, size=(length, 100)).astype(float)
        slopes = [abs(slope((w, 1.0), x)[1][0]) for w in w_rec]
        axes.plot(w_rec, slopes, color=PALETTE[colour])
        axes.annotate(f"{length} steps", (1.96, slopes[-9]), color=PALETTE[colour], ha="right", va="bottom",
                      xytext=(-14, 0), textcoords="offset points")  # fmt: skip
    for side in (-1, 1):
        axes.axvline(side, color="#999999", linewidth=0.8, linestyle=(0, (4, 3)), zorder=0)
    axes.annotate("zero at the solution", (1, 0.25), xytext=(-6, 0), textcoords="offset points", ha="right")
    axes.set_yscale("log")
    axes.set_ylim(1e-1)
    axes.set_xlabel("w_rec, with w_x = 1")
    axes.set_ylabel("|∂ξ/∂w_rec|")
    drawn.savefig(file)


SIGNS = {"__add__": "+", "__mul__": "×", "__matmul__": "@", "__getitem__": "[t]", "T": "T", "sum": "Σ", "tanh": "tanh"}


def tape(file: Path) -> None:
    """The tape of three steps of the simple network: each operation, what it read, and what it read more than once."""
    script, steps = example("autodiff_tape"), 3
    random, written = np.random.default_rng(0), script["Tape"]()
    shapes = {"x": (steps, 2, 3), "W_x": (4, 3), "b_x": (4,), "W_h": (4, 4), "b_h": (4,)}
    leaves = {name: written.variable(random.normal(size=shape)) for name, shape in shapes.items()}
    state, loss = (written.variable(np.zeros((2, 4))),), 0.0
    x, w_x, b_x, w_h, b_h = leaves.values()
    ends, states = [], []
    for t in range(steps):
        state = script["rnn"](x[t], state, w_x, w_h, b_x, b_h)
        states.append(len(written.operations) - 1)
        loss = (state[0] * state[0]).sum() * 0.5 + loss
        ends.append(len(written.operations))
    places = {id(result): (place, 0.0) for place, (result, _) in enumerate(written.operations)}
    bottom = np.linspace(4, ends[-1] - 5, len(leaves))
    colours = dict(zip(leaves, ("grey", "orange", "sky", "vermillion", "purple"), strict=True))
    names = {id(leaf): name for name, leaf in leaves.items()}
    drawn = figure(8.5, 3.1)
    axes = drawn.add_subplot()
    for t, (start, end) in enumerate(pairwise((0, *ends)), 1):
        if t % 2:
            axes.axvspan(start - 0.5, end - 0.5, color="#f3f3f3", zorder=0)
        axes.text(start, 4.9, f"step {t}", weight="bold", va="top")
    for (name, leaf), place in zip(leaves.items(), bottom, strict=True):
        places[id(leaf)] = (place, -4.1)
        axes.text(place, -4.3, name, color=PALETTE[colours[name]], weight="bold", ha="center", va="top")
    for place, (_, inputs) in enumerate(written.operations):
        for read, _ in inputs:
            there = places.get(id(read), (0, 0))
            if id(read) in names:
                axes.plot((place, there[0]), (0, there[1]), color=PALETTE[colours[names[id(read)]]], zorder=1)
            elif id(read) in places:
                width = place - there[0]
                onwards = there[0] in states and width > 5  # h of a step, read by the next
                colour, line = ("blue", 2) if onwards else ("grey", 0.9)
                middle, height = (there[0] + width / 2, 0), 1.1 * width**0.75
                axes.add_patch(Arc(middle, width, height, theta2=180, color=PALETTE[colour], linewidth=line, zorder=1))
        sign = SIGNS[inputs[0][1].__qualname__.split(".")[1]]
        axes.plot(place, 0, "o", color="white", markeredgecolor="#444444", markeredgewidth=0.8,
                  markersize=16 if len(sign) > 1 else 12)  # fmt: skip
        axes.text(place, 0, sign, ha="center", va="center_baseline", fontsize=5.5 if len(sign) > 2 else 8)
    for t, place in enumerate(states[:-1], 1):
        axes.text(place + 5, 3.75, f"h_{t}", color=PALETTE["blue"], weight="bold", ha="center")
    axes.text(ends[-1] - 0.3, 0, "ξ", va="center")
    axes.set_xlim(-0.7, ends[-1] + 0.2)
    axes.set_ylim(-5, 5)
    axes.set_axis_off()
    drawn.savefig(file)


GATES = {"RNN": ("h",), "GRU": ("reset", "update", "new"), "LSTM": ("input", "forget", "cell", "output")}
PARTS = {
    "weight_ih_l0": ("W_x: H · I", "sky"),
    "weight_hh_l0": ("W_h: H · H", "blue"),
    "bias": ("two biases: 2 H", "orange"),
}


def parameters(file: Path) -> None:
    """The weights of a layer by gate, and how their number grows with its units."""
    count = example("parameter_counting")["count"]
    inputs, units = 8, 16
    drawn = figure(8, 3.4)
    bars, growth = drawn.subplots(1, 2, width_ratios=(1.5, 1))
    for row, (kind, gates) in enumerate(GATES.items()):
        layer, left = getattr(torch.nn, kind)(inputs, units), 0
        for gate in gates:
            first = left
            for part, (label, colour) in PARTS.items():
                size = sum(w.numel() for name, w in layer.named_parameters() if name.startswith(part)) // len(gates)
                shown = label if kind == "RNN" else None
                bars.barh(row, size, left=left, height=0.5, color=PALETTE[colour], label=shown)
                left += size
            bars.plot((left, left), (row - 0.25, row + 0.25), color="white", linewidth=2)
            bars.text((first + left) / 2, row - 0.29, gate, ha="center", va="bottom", color="#444444")
        bars.text(left + 20, row, f"{left:,}", va="center", weight="bold")
    bars.set_yticks(range(3), GATES)
    bars.set_ylim(2.5, -0.6)
    bars.set_xlim(0, 1900)
    bars.xaxis.set_major_formatter("{x:,.0f}")
    bars.grid(visible=False, axis="y")
    bars.set_xlabel("parameters")
    bars.set_title(f"by gate, I = {inputs}, H = {units}", loc="left")
    drawn.legend(loc="outside lower left", ncols=3)
    sizes = [2**power for power in range(3, 11)]
    for kind, colour, shift in (("LSTM", "purple", 4), ("GRU", "green", -4), ("RNN", "black", 0)):
        counts = [count(kind, inputs, size) for size in sizes]
        growth.plot(sizes, counts, "o-", markersize=3, color=PALETTE[colour])
        growth.annotate(kind, (sizes[-1], counts[-1]), xytext=(6, shift), textcoords="offset points", va="center",
                        color=PALETTE[colour], annotation_clip=False)  # fmt: skip
    growth.set_xscale("log", base=2)
    growth.set_yscale("log")
    growth.set_xticks(sizes, [str(size) for size in sizes])
    growth.set_xlabel("units H")
    growth.set_title(f"by H, with I = {inputs}, at any T", loc="left")
    drawn.savefig(file)


PICTURES: dict[str, Callable[[Path], None]] = {
    "counting-ones-surface": counting_ones_surface,
    "counting-ones-gradient": counting_ones_gradient,
    "tape": tape,
    "parameters": parameters,
}

if __name__ == "__main__":
    torch.set_num_threads(1)
    for name in sys.argv[1:] or PICTURES:
        with style():
            PICTURES[name](FOLDER / f"{name}.png")
        print(f"written: {FOLDER / name}.png")
