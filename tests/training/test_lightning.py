"""Lightning's own Trainer, with strategies of ours."""

from __future__ import annotations

import copy

import pytest
import torch

from throughtime import GRU, Batch, Checkpointed, Full, Truncated, UnsupportedError

pytest.importorskip("lightning")


def squared_error(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return (output - target).square().sum(-1)


def fit(model: torch.nn.Module, strategy: object, batches: list[Batch], **settings: object) -> object:
    from lightning.pytorch import Trainer

    from throughtime.training.lightning import StrategyModule

    module = StrategyModule(model, squared_error, strategy, lambda p: torch.optim.SGD(p, lr=0.1), **settings)
    trainer = Trainer(
        max_epochs=2,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, torch.utils.data.DataLoader(batches, batch_size=None))
    return trainer


@pytest.mark.parametrize("stateful", [False, True])
@pytest.mark.parametrize("strategy", [Full(), Truncated(3), Truncated(3, 6), Checkpointed()])
def test_the_trainer_does_what_a_loop_by_hand_does(strategy: Full | Truncated | Checkpointed, stateful: bool) -> None:
    torch.manual_seed(0)
    model = GRU(2, 3)
    batches = [Batch(torch.randn(8, 4, 2), torch.randn(8, 4, 3)) for _ in range(2)]
    ours = copy.deepcopy(model)
    optimizer, steps = torch.optim.SGD(ours.parameters(), lr=0.1), 0
    for _ in range(2):
        carry = None
        for batch in batches:
            for segment in strategy.segments(ours, batch, squared_error, carry if stateful else None):
                for parameter in ours.parameters():
                    parameter.grad /= segment.count
                torch.nn.utils.clip_grad_norm_(ours.parameters(), 0.5)
                optimizer.step()
                optimizer.zero_grad()
                carry, steps = segment.carry, steps + 1
    trainer = fit(model, strategy, batches, clip=0.5, stateful=stateful)
    assert trainer.global_step == steps
    for found, wanted in zip(model.parameters(), ours.parameters(), strict=True):
        assert torch.equal(found, wanted)


def test_a_model_that_does_not_stream_is_refused_at_once() -> None:
    with pytest.raises(UnsupportedError, match=r"use Full\(\)"):
        fit(GRU(2, 3, bidirectional=True), Truncated(3), [])
