"""Every model that a strategy is tried on, in turn."""

from __future__ import annotations

import pytest
import torch
from cases import MODELS
from torch import nn


@pytest.fixture(params=MODELS)
def model(request: pytest.FixtureRequest) -> nn.Module:
    torch.manual_seed(0)
    return MODELS[request.param]().double()
