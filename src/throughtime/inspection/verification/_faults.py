"""What is wrong with a gradient that is wrong, told from numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ...gradients import streams
from ._blocks import Block
from ._probes import Probed, probe
from ._problem import Problem, direction

_MOST_STEPS, _MOST_BLOCKS, _DIRECTIONS = 100, 12, 3


@dataclass(frozen=True)
class Fault:
    """What is known of a wrong block.

    Args:
        found: its derivatives over the whole sequence; of a state, within the step.
        words: what is wrong with it, empty where nothing was recognised.
        rank: 0 where it is most likely the cause; 3 where it may well be a consequence.
    """

    found: Probed
    words: str
    rank: int


def faults(
    problem: Problem, losses: Tensor, probes: Sequence[Probed], entries: int, generator: torch.Generator
) -> tuple[list[Fault], list[Probed]]:
    """The wrong blocks, likely causes first, and what was found within a single step."""
    wrong = [found for found in probes if not found.agrees]
    states = _states(problem, losses) if wrong else None
    within = _within_step(problem, losses, probes[0].tolerance, entries, generator) if states else []
    local = {_key(found.block): found for found in within if not found.agrees}
    sizes = {"the number of steps": problem.steps, "the number of sequences": losses.shape[1]}
    told = []
    for found in wrong:
        own = local.get(_key(found.block))
        factor = _factor_words(found, sizes)
        if own is not None:
            first = _factor_words(own, {"the number of sequences": losses.shape[1]})
            words = f"within a single step {first}" if first else "already so within a single step"
            told.append(Fault(found, words, 0 if first else 1))
            continue
        in_time = (
            "" if factor or not states or len(told) >= _MOST_BLOCKS else _time_words(problem, found, states, generator)
        )
        words = factor or in_time or ("right within a single step" if within else "")
        told.append(Fault(found, words, 2 if factor or in_time else 3))
    for found in local.values():
        if found.block.name.startswith("the state"):
            first = _factor_words(found, {})
            words = f"what a step sends back to it: {first}" if first else "what a step sends back to it is wrong"
            # A step that begins a piece may detach what it is given: the terms over time say more of that than this.
            told.append(Fault(found, words, 3 if not found.analytic.any() else 0 if first else 1))
    gates = [*dict.fromkeys(found.block.gate for found in probes)]

    def likely(fault: Fault) -> tuple[int, int, float]:
        """Among gates that are wrong by a factor the last: one that reads another passes its own factor back to it."""
        gate = fault.found.block.gate
        return fault.rank, -gates.index(gate) if fault.rank == 0 and gate in gates else 0, -fault.found.relative

    return sorted(told, key=likely), within


def _key(block: Block) -> tuple[str, str | None]:
    return block.name, block.gate


def _states(problem: Problem, losses: Tensor) -> list | None:
    """Before each step; `None` where the model cannot be fed step by step, or gives other losses then."""
    if not streams(problem.model) or problem.steps > _MOST_STEPS:
        return None
    try:
        states = problem.states(problem.steps)
        again = [problem.losses_from(time, state) for time, state in enumerate(states)]
    except (RuntimeError, ValueError, TypeError, IndexError, AttributeError):
        return None
    same = torch.allclose(torch.stack(again), losses, rtol=1e-9, atol=1e-12)
    return states if same else None


def _within_step(
    problem: Problem, losses: Tensor, tolerance: float, entries: int, generator: torch.Generator
) -> list[Probed]:
    step = problem.last_step(losses)
    if step is None:
        return []
    return probe(step, step.blocks(), step.losses(), entries, tolerance, generator)


def _factor_words(found: Probed, sizes: dict[str, int]) -> str:
    """Where analytic is one and the same multiple of numeric throughout."""
    numeric, analytic = found.values, found.analytic
    if not numeric.any():
        return ""
    if not analytic.any():
        return "it is zero"
    factor = (analytic @ numeric / (numeric @ numeric)).item()
    if (analytic - factor * numeric).abs().max() > 1e-3 * found.apart.max() + found.errors.max():
        return ""
    named = {-1.0: "minus the numeric: a sign", 2.0: "twice the numeric", 0.5: "half the numeric"}
    for name, size in sizes.items():
        if size > 2:
            named[float(size)] = f"the numeric times {name}, {size}: a sum where a mean was meant"
            named[1 / size] = f"the numeric divided by {name}, {size}: a mean where a sum was meant"
    for known, words in named.items():
        if abs(factor - known) <= 1e-4 * abs(known):
            return f"it is {words}"
    return f"it is {factor:.6g} times the numeric" if len(numeric) > 2 else ""


def _time_words(problem: Problem, found: Probed, states: list, generator: torch.Generator) -> str:
    """Where analytic is made of some of the terms of which the gradient is the sum, ∂ℓ_s by the use in step t."""
    if found.block.name == "inputs" or problem.steps < 2:
        return ""
    along = [direction(found.block, generator) for _ in range(_DIRECTIONS)]
    terms = torch.stack([problem.terms(found.block, one, states) for one in along])
    (gradient,) = problem.gradients([found.block])
    analytic = torch.stack([one @ gradient for one in along])
    apart = (analytic - terms.sum((1, 2))).norm()
    parts = _parts_of_time(problem.steps)
    distances = [((terms * mask).sum((1, 2)) - analytic).norm().item() for mask, _ in parts]
    best = min(distances)
    return f"it is {parts[distances.index(best)][1]}" if best <= 1e-3 * apart else ""


def _parts_of_time(steps: int) -> list[tuple[Tensor, str]]:
    """Sets of terms [t, s], and what has happened where only they are left."""
    t, s = torch.arange(steps)[:, None], torch.arange(steps)[None]
    forgotten = "step alone: the sum over time was forgotten"
    found = [
        (t == steps - 1, f"the term of the last {forgotten}"),
        (t == 0, f"the term of the first {forgotten}"),
        *((t == step, f"the term of {forgotten.replace('step', f'step {step}', 1)}") for step in range(1, steps - 1)),
        (t == s, "what each loss owes to its own step: the state is detached after every step"),
    ]
    for size in range(2, steps):
        found.append((s - t < size, f"what each loss owes to its last {size} steps: the gradient is cut there"))
        if 2 * size < steps:
            found.append((t // size == s // size, f"cut every {size} steps: the state is detached there"))
    for step in range(1, steps):
        found.append(((t < step) == (s < step), f"cut before step {step}: the state is detached there"))
    return found
