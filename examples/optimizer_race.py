"""Five optimisers by their formulas, held against the library's, and raced on one problem, each at its best rate.

    g = ∂ξ/∂w,    m ← β₁ m + (1 − β₁) g,    v ← β₂ v + (1 − β₂) g²,    m̂ = m / (1 − β₁ᵗ),    v̂ = v / (1 − β₂ᵗ)

    SGD         w ← w − η g
    momentum    u ← 0.9 u + g,    w ← w − η u
    Adam        w ← w − η m̂ / (√v̂ + ε)             each element has its own scale
    RAdam       w ← w − η r_t m̂ / (√v̂ + ε)         r_t → 1; in the first steps, where v̂ is a guess, w ← w − η m̂
    AdamP       as Adam, less the part of the step that is parallel to w, where w and g are orthogonal

The problem: f(x) = w · x / ‖w‖ depends on the direction of w alone, as weights before a normalisation do. So g ⟂ w, and
steps make w longer and turn it less, those of momentum most. AdamP was made for this: one race is no ranking.
"""

import numpy as np
import torch

from throughtime.artifacts import OptimizerSettings
from throughtime.training.optimizers import build_optimizer

FIRST, SECOND, EPSILON, LONGEST = 0.9, 0.999, 1e-8, 1999  # β₁, β₂, ε, 2 / (1 − β₂) − 1
random = np.random.default_rng(0)
x = random.normal(size=(200, 10)) * np.geomspace(0.1, 3, 10)
start, truth = random.normal(size=(2, 10))
y = x @ truth / np.linalg.norm(truth)


def loss_and_gradient(w):
    unit = w / np.linalg.norm(w)
    residual = x @ unit - y
    gradient = 2 * residual @ x / len(x)  # by the unit vector; only what is orthogonal to it can turn it
    return (residual**2).mean(), (gradient - (gradient @ unit) * unit) / np.linalg.norm(w)


def momentum(w, g, m, v, t, keep=0.9):
    return keep * m + g, keep * m + g, v  # the step, to be multiplied by −η, and what is remembered


def adam(w, g, m, v, t):
    m, v = FIRST * m + (1 - FIRST) * g, SECOND * v + (1 - SECOND) * g**2
    return m / (1 - FIRST**t) / (np.sqrt(v / (1 - SECOND**t)) + EPSILON), m, v


def radam(w, g, m, v, t):
    step, m, v = adam(w, g, m, v, t)
    length = LONGEST - 2 * t * SECOND**t / (1 - SECOND**t)  # of about how many gradients v̂ is the average
    r = np.sqrt(max(0, (length - 4) * (length - 2) * LONGEST / ((LONGEST - 4) * (LONGEST - 2) * length)))
    return (r * step if length > 5 else m / (1 - FIRST**t)), m, v


def adamp(w, g, m, v, t):
    step, m, v = adam(w, g, m, v, t)
    orthogonal = abs(w @ g) < 0.1 / np.sqrt(len(w)) * np.linalg.norm(w) * np.linalg.norm(g)
    return (step - (step @ w) * w / (w @ w) if orthogonal else step), m, v


def run(rule, rate, steps):
    w, m, v = start, 0 * start, 0 * start
    for t in range(1, steps + 1):
        step, m, v = rule(w, loss_and_gradient(w)[1], m, v, t)
        w = w - rate * step
    return w


results = []
rules = {"sgd": lambda *now: momentum(*now, keep=0), "momentum": momentum, "adam": adam, "radam": radam, "adamp": adamp}
for name, rule in rules.items():
    weights = torch.nn.Parameter(torch.tensor(start[None]))  # a matrix: AdamP treats vectors (biases) as Adam does
    optimizer = build_optimizer([weights], OptimizerSettings(name=name, learning_rate=0.1, weight_decay=0))
    for _ in range(30):
        optimizer.zero_grad()
        (torch.from_numpy(x) @ weights[0] / weights.norm() - torch.from_numpy(y)).square().mean().backward()
        optimizer.step()
    np.testing.assert_allclose(run(rule, 0.1, 30), weights[0].detach().numpy(), rtol=1e-4)
    ends = [run(rule, rate, 300) for rate in (0.1, 0.3, 1.0, 3.0, 10.0)]
    results.append(min((loss_and_gradient(w)[0], place, np.linalg.norm(w)) for place, w in enumerate(ends)))
losses, places, lengths = (dict(zip(rules, column, strict=True)) for column in zip(*results, strict=True))
assert set(places.values()) <= {1, 2, 3}  # the best rates lie among those tried, not beyond
assert (min(losses, key=losses.get), max(lengths, key=lengths.get)) == ("adamp", "momentum")
print("loss after 300 steps:", ", ".join(f"{name} {loss:.0e}" for name, loss in losses.items()))
