"""Every way of taking one step at a time computes what torch.nn's layer computes over the whole sequence."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from _case import GATES, NAMES, Case
from _steppers import STEPPERS, NotHere

STEPS = 5


@pytest.mark.parametrize("kind", GATES)
@pytest.mark.parametrize("name", STEPPERS)
def test_steps_are_those_of_the_whole(name: str, kind: str):
    case = Case(kind, time=1, batch=1, input=3, hidden=5, training=False)
    samples = np.random.default_rng(0).standard_normal((STEPS, 1, 3), np.float32)
    layer = getattr(torch.nn, NAMES[kind])(3, 5)
    layer.load_state_dict({f"{weight}_l0": torch.from_numpy(value) for weight, value in case.weights().items()})
    make, tensors = STEPPERS[name]
    with torch.inference_mode():
        expected = layer(torch.from_numpy(samples))[0].numpy().reshape(STEPS, 5)
        try:
            step = make(case)
        except NotHere as reason:
            pytest.skip(str(reason))
        for x, wanted in zip(samples, expected, strict=True):
            found = step(torch.from_numpy(x) if tensors else x)
            np.testing.assert_allclose(np.asarray(found).ravel(), wanted, atol=1e-6)
