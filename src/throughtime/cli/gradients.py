"""`throughtime gradients`: what cutting the gradient costs a trained model, and what keeping it does."""

from __future__ import annotations

from typing import Annotated

import torch
import typer

from .._errors import ConfigurationError
from ..artifacts import load
from ..gradients import FORMS, compare_gradients, smallest_truncation, strategy_named
from ..models import negative_log_likelihood
from ..training import first_batch
from . import _options as options
from ._console import out, print_json, say, working


def gradients(
    run: options.RunFolder,
    file: options.OptionalFile = None,
    strategy: Annotated[
        list[str] | None, typer.Option(help=f"Strategy to compare, given once for each: {FORMS}.", show_default=False)
    ] = None,
    steps: Annotated[int | None, typer.Option(min=2, help="Steps of the batch; as in training by default.")] = None,
    tolerance: Annotated[float, typer.Option(help="Relative bias that the suggested truncation may have.")] = 0.1,
    seed: options.Seed = 0,
    device: options.Device = "cpu",
    json: options.Json = False,
) -> None:
    """Compare gradients on a trained run: bias and cosine against the whole sequence's, memory and time.

    Then the smallest truncation is suggested whose relative bias is within the tolerance.

    Examples:

      throughtime gradients runs/book

      throughtime gradients runs/book --steps 1000 --strategy truncated:16,64 --strategy checkpointed:64MB
    """
    if not tolerance > 0:
        raise ConfigurationError(f"--tolerance {tolerance}: expected above 0")
    trained = load(run, device=options.device(device))
    named = None if strategy is None else [strategy_named(text) for text in strategy]
    with working("reading"):
        batch = first_batch(trained, trained.read(file), steps).to(options.device(device))
    length = batch.inputs.shape[0]
    chosen = named or [strategy_named(text) for text in _suited(length)]
    for one in chosen:  # what training would refuse
        one.check(trained.model.train())
    trained.model.eval()  # dropout would look like a bias
    torch.manual_seed(seed)
    with working("comparing"):
        found = compare_gradients(trained.model, batch, negative_log_likelihood, chosen)
        smallest = smallest_truncation(trained.model, batch, negative_log_likelihood, tolerance)
    if json:
        print_json(found.to_dict() | {"steps": length, "tolerance": tolerance, "smallest_truncation": smallest})
        return
    out.print(found.table())
    few = f"{length} steps, {batch.inputs.shape[1]} sequences side by side; "
    if smallest is None:
        say(f"{few}no truncated:K of fewer steps has a bias of at most {tolerance:g}; --strategy checkpointed is exact")
    else:
        say(f"{few}the smallest K with a bias of at most {tolerance:g}: --strategy truncated:{smallest}")


def _suited(steps: int) -> list[str]:
    """Strategies worth a look at a batch of so many steps."""
    few, some = max(1, steps // 16), max(1, steps // 4)
    suited = [
        "full",
        f"truncated:{few}",
        f"truncated:{few},{some}",
        f"truncated:{some}",
        "checkpointed",
        f"artbp:{few},{some}",
    ]
    return list(dict.fromkeys(suited))
