"""The copy memory task: ten symbols, a thousand blanks, then the symbols again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torch.nn.utils.parametrizations import orthogonal

import throughtime as tt
from throughtime.models import CategoricalHead, negative_log_likelihood
from throughtime.nn import CausalConv

from .loop import improve
from .protocol import Protocol

BLANKS, RECALLED, SYMBOLS, TESTED = 1000, 10, 10, 1000
METRIC = "nats a step"
_BLANK, _MARKER = 0, 9
_CLIP = 1.0
_WARM_UP = 0.05  # of the batches


@dataclass(frozen=True)
class Case:
    """A layer, and how it is trained: Adam, its step sizes up and then down to 0 over so many batches.

    Args:
        rate: the largest step size.
        recurrent_rate: that of weight_hh, where it is another.
        head_rate: that of the head, where it is another.
        scale: of the embeddings before training.
    """

    make: Callable[[], nn.Module]
    rate: float
    batches: int
    batch: int = 32
    recurrent_rate: float | None = None
    head_rate: float | None = None
    scale: float = 1.0


def rotating() -> nn.Module:
    """An RNN whose recurrent weights stay orthogonal: where inputs are small its state turns, and nothing in it fades.

    It is wide, as a linear head has to tell ten symbols apart that overlap in one state: by 8 numbers at each of the 19
    places that a symbol can be from the one that is asked for.
    """
    layer = tt.RNN(SYMBOLS, 384, bias=False, recurrent_init="orthogonal")
    return orthogonal(layer, "weight_hh_l0", orthogonal_map="cayley")


CASES = {
    "RNN, orthogonal": Case(rotating, 1e-3, 5_000, 8, recurrent_rate=3e-6, head_rate=5e-2, scale=0.1),
    "TCN": Case(lambda: CausalConv(SYMBOLS, 16, num_layers=7, kernel_size=8), 2e-3, 4_000, 8),
    "LSTM": Case(lambda: tt.LSTM(SYMBOLS, 64, chrono_init=BLANKS), 1e-3, 5_000),
    "GRU": Case(lambda: tt.GRU(SYMBOLS, 64, chrono_init=BLANKS), 1e-3, 5_000),
}


def model_of(case: Case) -> tt.SequenceModel:
    """Blanks are zeros, so that they leave a state as it is."""
    symbols, layer = nn.Embedding(SYMBOLS, SYMBOLS, padding_idx=_BLANK), case.make()
    with torch.no_grad():
        symbols.weight *= case.scale
    return tt.SequenceModel(symbols, layer, CategoricalHead(layer.hidden_size, SYMBOLS))


def drawn(count: int, generator: torch.Generator) -> tt.Batch:
    """Symbols 1 … 8, then 999 blanks, then 11 markers; the symbols are asked for at the last ten, blanks before."""
    symbols = torch.randint(1, _MARKER, (RECALLED, count), generator=generator)
    blanks, markers = torch.full((BLANKS - 1, count), _BLANK), torch.full((RECALLED + 1, count), _MARKER)
    before = torch.full((RECALLED + BLANKS, count), _BLANK)
    return tt.Batch(torch.cat([symbols, blanks, markers]), torch.cat([before, symbols]))


def _optimizer(model: tt.SequenceModel, case: Case) -> torch.optim.Optimizer:
    groups: dict[float, list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        own = case.recurrent_rate if "weight_hh" in name else case.head_rate if name.startswith("head.") else None
        groups.setdefault(case.rate if own is None else own, []).append(parameter)
    return torch.optim.Adam([{"params": parameters, "lr": rate} for rate, parameters in groups.items()])


@torch.no_grad()
def measured(model: tt.SequenceModel, batch: tt.Batch) -> dict[str, float]:
    """The mean loss of all steps, and the share of symbols that are recalled, in pieces that fit a small memory."""
    losses, right = [], []
    for inputs, targets in zip(batch.inputs.split(100, 1), batch.targets.split(100, 1), strict=True):
        distribution, _ = model.eval()(inputs)
        losses.append(negative_log_likelihood(distribution, targets).mean())
        right.append((distribution.logits.argmax(-1) == targets)[-RECALLED:].float().mean())
    return {METRIC: float(torch.stack(losses).mean()), "recalled": float(torch.stack(right).mean())}


def run(model: str, seed: int, folder: Path) -> dict[str, float]:
    case = CASES[model]
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    copying = model_of(case)
    optimizer = _optimizer(copying, case)
    warm_up = round(_WARM_UP * case.batches)
    schedule = torch.optim.lr_scheduler.SequentialLR(
        optimizer,
        [
            torch.optim.lr_scheduler.LinearLR(optimizer, 1 / warm_up, total_iters=warm_up),
            torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, case.batches - warm_up),
        ],
        [warm_up],
    )
    for _ in range(case.batches):
        improve(copying, drawn(case.batch, generator), negative_log_likelihood, optimizer, _CLIP)
        schedule.step()
    return measured(copying, drawn(TESTED, torch.Generator().manual_seed(10_000 + seed)))


PROTOCOL = Protocol(
    name="copy_memory",
    title="Copy memory, T = 1000",
    data=(),
    words="""Ten symbols of eight, 999 blanks and eleven markers; at the last ten of these the symbols are asked for,
    at all other 1010 steps a blank. The figure is the cross entropy in nats, averaged over all 1020 steps as in the
    code of Bai et al., of 1000 sequences drawn for the test. Knowing when, but not what, costs 10 ln 8 / 1020 = 0.0204.
    Training draws afresh for each batch, where Bai et al. have 10,000 sequences; symbols enter as ten embeddings, not
    as a number. Settings were chosen on other seeds. The TCN has few batches: from two seeds they suffice,
    from the third it knows when, and hardly what.""",
    metrics=(METRIC,),
    published={
        "LSTM": {METRIC: 0.0204},
        "GRU": {METRIC: 0.0197},
        "RNN": {METRIC: 0.0202},
        "TCN": {METRIC: 3.5e-5},
    },
    source="Bai, Kolter & Koltun, 2018, <https://arxiv.org/abs/1803.01271>, table 1",
    models=tuple(CASES),
    run=run,
)
