"""The sizes of convolutions: what comes out, and how many numbers they hold."""

from __future__ import annotations

from math import prod

from .._errors import ConfigurationError


def convolution_size(width: int, kernel: int, padding: int = 0, stride: int = 1, dilation: int = 1) -> int:
    """How many values come out along one axis: ⌊(W − F + 2P) / S⌋ + 1, F being the extent D (kernel − 1) + 1.

    Args:
        width: W, the values that go in.
        kernel: the weights along the axis.
        padding: P, the zeros added at each end.
        stride: S, the steps between one output and the next.
        dilation: D, the steps between one weight and the next.

    Raises:
        ConfigurationError: for numbers out of range, and for a kernel that reaches beyond its padded input.

    Example:
        >>> convolution_size(224, 7, padding=3, stride=2)
        112
        >>> convolution_size(convolution_size(32, 3), 3) == convolution_size(32, 5)
        True
    """
    if min(width, padding) < 0 or min(kernel, stride, dilation) < 1:
        raise ConfigurationError(
            f"width={width}, padding={padding}: expected at least 0; "
            f"kernel={kernel}, stride={stride}, dilation={dilation}: at least 1"
        )
    extent = dilation * (kernel - 1) + 1
    if extent > width + 2 * padding:
        raise ConfigurationError(
            f"a kernel of {kernel} with dilation={dilation} spans {extent} values, but width={width} with "
            f"padding={padding} has {width + 2 * padding}: use a smaller kernel or more padding"
        )
    return (width - extent + 2 * padding) // stride + 1


def convolution_parameters(
    in_channels: int, out_channels: int, kernel: int | tuple[int, ...], *, bias: bool = True
) -> int:
    """The weights and biases of a convolution: F · F · C_in · C_out + C_out.

    Args:
        in_channels, out_channels: C_in and C_out.
        kernel: F of a square kernel, or its sides: (F,) of a convolution over time.
        bias: whether there are the C_out biases.

    Raises:
        ConfigurationError: for numbers below 1.

    Example:
        >>> convolution_parameters(3, 64, 7)
        9472
        >>> 2 * convolution_parameters(10, 10, 3, bias=False), convolution_parameters(10, 10, 5, bias=False)
        (1800, 2500)
    """
    sides = (kernel, kernel) if isinstance(kernel, int) else kernel
    if min(in_channels, out_channels, *sides) < 1:
        raise ConfigurationError(
            f"in_channels={in_channels}, out_channels={out_channels}, kernel={kernel}: expected at least 1 of each"
        )
    return prod(sides) * in_channels * out_channels + (out_channels if bias else 0)
