"""The pictures of the pages on models and optimisers; `python docs/pictures.py` draws them, or those that are named."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import torch
from torch import nn

import throughtime as tt
from throughtime._plotting import PALETTE, figure, style
from throughtime.artifacts import OptimizerSettings
from throughtime.models import RNADE, CategoricalHead, Markov
from throughtime.training.optimizers import build_optimizer

FOLDER = Path(__file__).with_name("pictures")


def markov_orders(file: Path) -> None:
    """Surprise by the order of a chain, on the text that was counted and on the rest."""
    data = tt.read_text(str(files("throughtime") / "demo_data" / "shakespeare.txt"))
    symbols = torch.from_numpy(data.tokens).long()
    parts = {"counted": symbols[: len(symbols) * 9 // 10], "new": symbols[len(symbols) * 9 // 10 :]}
    orders = range(9)
    drawn = figure(6.5, 3.2)
    axes = drawn.add_subplot()
    chains = [Markov(len(data.vocabulary.symbols), order).fit([parts["counted"]]) for order in orders]
    for (name, part), colour in zip(parts.items(), ("grey", "blue"), strict=True):
        means = [float(chain.score(part[:, None]).mean()) for chain in chains]
        axes.plot(orders, means, "o-", color=PALETTE[colour], label=f"{name} text")
    axes.set_ylim(0)
    axes.set_xlabel("order: how many characters are read")
    axes.set_ylabel("nats a character")
    drawn.legend(loc="outside right upper")
    drawn.savefig(file)


def attention(file: Path) -> None:
    """What a layer attends to in sequences that repeat after 12 symbols, with positions and without."""
    half, symbols = 12, 8
    drawn = figure(8, 2.6)
    panels = drawn.subplots(1, 2, sharey=True)
    for panel, (positions, told) in zip(panels, {"rotary": "rotary", "none": "no"}.items(), strict=True):
        torch.manual_seed(0)
        layer = tt.nn.Transformer(16, 32, num_layers=1, num_heads=1, context=2 * half, positions=positions)
        model = tt.SequenceModel(nn.Embedding(symbols, 16), layer, CategoricalHead(32, symbols))
        optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
        for _ in range(1000):
            x = torch.randint(symbols, (half, 64)).repeat(2, 1)
            surprise = -model(x[:-1])[0].log_prob(x[1:])[half - 1 :].mean()  # of the second half
            optimizer.zero_grad()
            surprise.backward()
            optimizer.step()
        with torch.no_grad():
            weights = layer.attention_weights(model.embedding(x[:-1, :1]))[0, 0, 0, half - 1 :]
        extent = (0.5, 2 * half - 0.5, 2 * half - 0.5, half - 0.5)
        shown = panel.imshow(weights, cmap="Blues", vmin=0, vmax=1, extent=extent)
        panel.set_title(f"{told} positions: {surprise.item():.2f} nats a symbol", loc="left")
        panel.set_xlabel("step that is read")
        panel.grid(visible=False)
    panels[0].set_ylabel("step that reads")
    drawn.colorbar(shown, ax=panels, label="weight")
    drawn.savefig(file)


def density(file: Path) -> None:
    """Points of a ring, and the density that RNADE learns of them."""
    torch.manual_seed(0)
    angle, radius = 2 * math.pi * torch.rand(2000), 1 + 0.1 * torch.randn(2000)
    ring = torch.stack([radius * angle.cos(), radius * angle.sin()], 1)
    model = RNADE(size=2, hidden_size=32, components=8)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(400):
        optimizer.zero_grad()
        (-model.log_prob(ring).mean()).backward()
        optimizer.step()
    side = torch.linspace(-1.6, 1.6, 200)
    with torch.no_grad():
        values = model.log_prob(torch.cartesian_prod(side, side)).exp().view(200, 200).T.numpy()
    drawn = figure(7.5, 3.4)
    left, right = drawn.subplots(1, 2, sharex=True, sharey=True)
    left.plot(*ring[:1000].T, ".", markersize=3, alpha=0.3, color=PALETTE["blue"])
    left.set_title("data", loc="left")
    shown = right.contourf(side.numpy(), side.numpy(), values, levels=10, cmap="Blues")
    right.set_title("RNADE", loc="left")
    right.grid(visible=False)
    for panel in (left, right):
        panel.set_aspect("equal")
        panel.set_xlabel("x_1")
    left.set_ylabel("x_2")
    drawn.colorbar(shown, ax=[left, right], label="density")
    drawn.savefig(file)


def optimisers(file: Path) -> None:
    """Loss over steps on f(x) = w · x / ‖w‖, each optimiser at the best of some rates."""
    generator = torch.Generator().manual_seed(0)
    scales = torch.logspace(-1, math.log10(3), 10, dtype=torch.float64)
    x = torch.randn(200, 10, generator=generator, dtype=torch.float64) * scales
    start, truth = torch.randn(2, 10, generator=generator, dtype=torch.float64)
    y = x @ truth / truth.norm()

    def race(name: str, rate: float) -> list[float]:
        w = nn.Parameter(start[None].clone())
        optimizer = build_optimizer([w], OptimizerSettings(name=name, learning_rate=rate, weight_decay=0))
        losses = []
        for _ in range(300):
            optimizer.zero_grad()
            loss = (x @ w[0] / w.norm() - y).square().mean()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses

    drawn = figure(7.5, 3.4)
    axes = drawn.add_subplot()
    colours = ("black", "orange", "blue", "green", "vermillion")
    for name, colour in zip(("sgd", "momentum", "adam", "radam", "adamp"), colours, strict=True):
        curves = {rate: race(name, rate) for rate in (0.1, 0.3, 1.0, 3.0, 10.0)}
        best = min(curves, key=lambda rate: curves[rate][-1])
        axes.plot(range(1, 301), curves[best], color=PALETTE[colour], label=f"{name}, η = {best:g}")
    axes.set_yscale("log")
    axes.set_xlabel("steps")
    axes.set_ylabel("squared error")
    drawn.legend(loc="outside right upper")
    drawn.savefig(file)


PICTURES: dict[str, Callable[[Path], None]] = {
    "markov-orders": markov_orders,
    "attention": attention,
    "density": density,
    "optimisers": optimisers,
}

if __name__ == "__main__":
    torch.set_num_threads(1)
    for name in sys.argv[1:] or PICTURES:
        with style():
            PICTURES[name](FOLDER / f"{name}.png")
        print(f"written: {FOLDER / name}.png")
