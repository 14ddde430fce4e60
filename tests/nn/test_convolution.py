"""The sizes of convolutions, against torch's."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from throughtime import ConfigurationError
from throughtime.nn import convolution_parameters, convolution_size


@given(
    width=st.integers(1, 20),
    kernel=st.integers(1, 6),
    padding=st.integers(0, 4),
    stride=st.integers(1, 4),
    dilation=st.integers(1, 3),
)
def test_sizes_are_those_of_torch(width, kernel, padding, stride, dilation):
    convolution = nn.Conv1d(1, 1, kernel, stride, padding, dilation)
    if dilation * (kernel - 1) + 1 > width + 2 * padding:
        with pytest.raises(ConfigurationError, match="use a smaller kernel or more padding"):
            convolution_size(width, kernel, padding, stride, dilation)
        return
    wanted = convolution(torch.zeros(1, 1, width)).shape[-1]
    assert convolution_size(width, kernel, padding, stride, dilation) == wanted


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    ("made", "kernel"), [(nn.Conv1d, (3,)), (nn.Conv2d, 5), (nn.Conv2d, (3, 2)), (nn.Conv3d, (3, 1, 2))]
)
def test_parameters_are_those_of_torch(made, kernel, bias):
    convolution = made(3, 7, kernel, bias=bias)
    wanted = sum(parameter.numel() for parameter in convolution.parameters())
    assert convolution_parameters(3, 7, kernel, bias=bias) == wanted


def test_two_small_kernels_see_what_a_large_one_sees_with_fewer_weights():
    assert convolution_size(convolution_size(32, 3), 3) == convolution_size(32, 5) == 28
    assert 2 * convolution_parameters(64, 64, 3, bias=False) == 18 * 64**2
    assert convolution_parameters(64, 64, 5, bias=False) == 25 * 64**2


def test_refusals():
    for wrong in ({"width": -1}, {"kernel": 0}, {"padding": -1}, {"stride": 0}, {"dilation": 0}):
        with pytest.raises(ConfigurationError, match="expected at least 0"):
            convolution_size(**{"width": 8, "kernel": 3, **wrong})
    with pytest.raises(ConfigurationError, match="out_channels=0"):
        convolution_parameters(3, 0, 3)
