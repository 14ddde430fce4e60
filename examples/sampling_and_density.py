"""Sampling is slow where the density is fast: what a step of each costs, for every family of sequence models.

    density     log P(x_1 … x_T) = Σ_t log P(x_t | x_<t)      x is known: all steps in one call
    sampling    x_t ~ P(x_t | x_<t)                           x_{t−1} has to be drawn first: T calls, one after another

Both go through the same factors. One call for all steps takes large products, and where no step waits for another
(attention, convolutions, scans, windows, counts, NADE) takes all of them at once; a recurrent network goes from step to
step in either case. In sampling each step pays for a call of its own. None reads the past again: the state is there
for that, and T steps cost T times one step, not T² / 2.
"""

import math
import sys
import time

import torch

from throughtime.models import FAMILIES, NADE, family

torch.set_num_threads(1)
STEPS, SYMBOLS, REPEATS = 128, 30, 2


def sample(model, first):
    """Draw step by step; beside the draws, the sum of their log-probabilities."""
    state, element, drawn, log_prob = None, first, [], 0.0
    for _ in range(STEPS):
        distribution, state = model(element, state)
        element = distribution.sample()
        log_prob += distribution.log_prob(element).item()
        drawn.append(element)
    return torch.cat(drawn), log_prob


def density(model, first, x):
    """The log-probability of x, known as a whole."""
    distribution, _ = model(torch.cat([first, x[:-1]]))
    return distribution.log_prob(x).sum().item()


def library_sample(model, first):
    return model.sample().T if isinstance(model, NADE) else model.sample(STEPS, first[0])


def measured(run, *given):
    """What comes of it, after how many calls of the model, in how many microseconds a step: the best of a few."""
    times, calls = [], []
    for _ in range(REPEATS):
        torch.manual_seed(0)
        counter = given[0].register_forward_hook(lambda *_: calls.append(1))
        started = time.perf_counter()
        result = run(*given)
        times.append((time.perf_counter() - started) / STEPS * 1e6)
        counter.remove()
    return result, len(calls) // REPEATS, min(times)


OTHERS = ("ar", "segrnn")  # of values; all steps ahead of a segrnn come at once
symbol = torch.zeros(1, 1, dtype=torch.long)  # [time, batch]: the element before the first that is drawn
models = {name: (family({"name": name}).of_symbols(SYMBOLS, 32), symbol) for name in FAMILIES if name not in OTHERS}
models["markov"][0].fit([torch.randint(SYMBOLS, (20000,))])
models["ar"] = family({"name": "ar"}).of_values(1, 0, (1,), "normal"), torch.zeros(1, 1, 1)
models["nade"] = NADE(STEPS, hidden_size=64), torch.zeros(1, 1)  # a vector, element by element
assert {*FAMILIES} - {"segrnn"} < set(models)
ratios = []
print(f"{'µs a step':12} density sampling", file=sys.stderr)
for name, (model, first) in models.items():
    model.eval().requires_grad_(False)
    (x, added), sampling_calls, slow = measured(sample, model, first)
    whole, density_calls, fast = measured(density, model, first, x)
    assert (density_calls, sampling_calls) == (1, STEPS)
    assert math.isclose(whole, added, rel_tol=1e-4, abs_tol=1e-2)  # one probability, computed both ways
    drawn, library_calls, _ = measured(library_sample, model, first)
    assert torch.equal(drawn, x)  # the library samples no other way
    assert library_calls == STEPS
    print(f"{name:12} {fast:7.1f} {slow:8.1f}", file=sys.stderr)
    ratios.append(slow / fast)
print(f"a sampled step took {min(ratios):.0f} to {max(ratios):.0f} times as long as a step of the density")
