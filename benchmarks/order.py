"""What order is worth to a model of text: the surprise of a character after a past that was changed.

Models learn nine tenths of the text in the package. In windows of the last tenth, the last character read and the one
to be predicted stay as they are. What is before them is put into any order (permuted), cut off but for a few characters
(trimmed), or loses a quarter (omitted). A Markov chain of order 1, which reads the last character alone, shows what
that is worth.
"""

from __future__ import annotations

import time
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from _common import machine, options, write_json
from _page import ROOT, table, write_section
from torch import Tensor, nn

import throughtime as tt
from throughtime._plotting import PALETTE, figure, style
from throughtime.models import Markov, family

PAST, TRIMMED, WINDOWS, BATCH = 48, 8, 2000, 32
NETWORK = {"hidden_size": 128, "num_layers": 2, "dropout": 0.1}
ATTENTION = {"name": "transformer", "context": PAST + 1, **NETWORK}
MODELS: dict[str, dict[str, Any]] = {
    "RNN": {"name": "rnn", **NETWORK},
    "LSTM": {"name": "lstm", **NETWORK},
    "Transformer, rotary positions": {"positions": "rotary", **ATTENTION},
    "Transformer, sinusoidal positions": {"positions": "sinusoidal", **ATTENTION},
    "Transformer, no positions": {"positions": "none", **ATTENTION},
    "one layer, no positions": {"positions": "none", **ATTENTION, "num_layers": 1},
    "Markov chain of order 4": {"name": "markov", "order": 4},
    "Markov chain of order 1": {"name": "markov", "order": 1},
}
COLOURS = ("blue", "vermillion", "green", "orange")


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--steps", type=int, default=600)
    settings = parser.parse_args()
    torch.set_num_threads(settings.threads)
    torch.manual_seed(0)
    print(machine())
    count, steps = (400, 20) if settings.quick else (WINDOWS, settings.steps)
    data = tt.read_text(str(files("throughtime") / "demo_data" / "shakespeare.txt"))
    symbols = torch.from_numpy(data.tokens).long()
    train, test = symbols[: len(symbols) * 9 // 10], symbols[len(symbols) * 9 // 10 :]
    inputs = changed(windows(test, count))
    found: dict[str, Tensor] = {}
    for name, how in MODELS.items():
        started = time.monotonic()
        model = learnt(family(how).of_symbols(len(data.vocabulary.symbols), embedding_size=32), train, steps)
        found[name] = torch.stack([surprise(model, past) for past in inputs.values()])
        means = " ".join(f"{mean:.3f}" for mean in found[name].mean(1))
        print(f"{name:36} {means}; {time.monotonic() - started:.0f} s", flush=True)
    means = {name: dict(zip(inputs, of.mean(1).tolist(), strict=True)) for name, of in found.items()}
    write_json(settings.out, "order", means)
    if settings.quick and settings.page is None:
        return
    page = settings.page or ROOT / "docs" / "exercises.md"
    draw(found, list(inputs), page.parent / "pictures" / "order.png")
    rows = [[name, *(f"{mean:.2f}" for mean in of.values())] for name, of in means.items()]
    error = max(float(of.std(1).max()) for of in found.values()) / count**0.5
    words = (
        f"Nats a character; networks of two layers of {NETWORK['hidden_size']} units but for one, {steps} batches of "
        f"{BATCH} × {PAST} characters; {count:,} windows, standard errors of {error:.2f} at most."
    )
    write_section("order", f"{table(['', *inputs], rows)}\n\n{words}", page)


def windows(symbols: Tensor, count: int) -> Tensor:
    """Somewhere in a text, [PAST + 1, count]."""
    return symbols[torch.randint(len(symbols) - PAST, (count,)) + torch.arange(PAST + 1)[:, None]]


def changed(x: Tensor) -> dict[str, Tensor]:
    """Windows with other pasts before the last character that is read."""
    shuffled = torch.rand(PAST - 1, x.shape[1]).argsort(0)
    kept = shuffled[: PAST * 3 // 4].sort(0).values
    permuted, omitted = (torch.cat([x.gather(0, places), x[-2:]]) for places in (shuffled, kept))
    return {"as it is": x, "permuted": permuted, "trimmed": x[-TRIMMED - 1 :], "omitted": omitted}


def learnt(model: nn.Module, symbols: Tensor, steps: int) -> nn.Module:
    """By counting where that is its way, else by Adam at a rate that falls to zero."""
    if isinstance(model, Markov):
        return model.fit([symbols])
    optimizer = torch.optim.Adam(model.parameters())
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 5e-3 * min(1, (step + 1) / 20) * (1 - step / steps)
        optimizer.zero_grad()
        model.score(windows(symbols, BATCH)).mean().backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    return model.eval()


@torch.no_grad()
def surprise(model: nn.Module, x: Tensor) -> Tensor:
    """−log P of the last character of each window."""
    return torch.cat([model.score(part)[-1].double() for part in x.split(500, 1)])


def draw(found: dict[str, Tensor], changes: list[str], file: Path) -> None:
    """Bars side by side for the changes; what the last character is worth as a line."""
    *shown, last = found
    with style():
        drawn = figure(9.5, 3.6)
        axes = drawn.add_subplot()
        for kind, (change, colour) in enumerate(zip(changes, COLOURS, strict=True)):
            surprises = torch.stack([found[name][kind] for name in shown])
            means, errors = surprises.mean(1).numpy(), 2 * surprises.std(1).numpy() / surprises.shape[1] ** 0.5
            places = [model + 0.2 * (kind - 1.5) for model in range(len(shown))]
            axes.bar(places, means, 0.2, yerr=errors, label=change, color=PALETTE[colour])
        axes.axhline(
            float(found[last][0].mean()), color=PALETTE["black"], linestyle=":", label="by the last character alone"
        )
        axes.set_xticks(range(len(shown)), [name.replace(", ", ",\n", 1).replace(" of ", "\nof ") for name in shown])
        axes.set_ylabel("nats a character, ± 2 standard errors")
        drawn.legend(loc="outside upper center", ncols=len(changes) + 1)
        file.parent.mkdir(parents=True, exist_ok=True)
        drawn.savefig(file)


if __name__ == "__main__":
    main()
