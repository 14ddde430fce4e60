"""What a summary says of a layer, worked out in words and numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from ..._errors import ConfigurationError
from ...nn import CausalConv
from ...nn.convolution import convolution_size
from ._footprint import Seen
from ._formulas import Block, Shape, attended, spatial

_AXES = {1: ("",), 2: ("height ", "width "), 3: ("depth ", "height ", "width ")}


def lines_of(
    row: Seen, found: Sequence[Block], shared: Mapping[str, str], sequences: int, each: str
) -> tuple[str, ...]:
    """The formulas of a layer, one a line; `each` is what a batch has several of: a sequence, or a sample."""
    lines = [f"{block.name}: {block.formula}" if block.name else block.formula for block in found]
    lines += [f"{name} is {where}, one and the same: counted there" for name, where in shared.items()]
    if not row.ran:
        return (*lines, "not run on this batch")
    if row.recurrent and found:
        own = "" if len(found) == 1 else " each"
        lines.append(f"one matrix{own}, used {row.uses:,} times: its gradient is a sum of {_terms(row.uses)}")
    elif row.calls > 1 and found:
        lines.append(f"called {row.calls:,} times: its gradient is a sum of {_terms(row.calls)}")
    return (*lines, *_product_lines(row, found, sequences, each), *_convolution_lines(row), *_state_lines(row))


def in_short(number: int | None) -> str:
    """A number in at most five letters.

    Example:
        >>> in_short(999), in_short(25_088), in_short(1_234_567), in_short(None)
        ('999', '25.1k', '1.23M', '–')
    """
    if number is None:
        return "–"
    power = next(power for power in range(6) if number < 999.5 * 1000**power or power == 5)
    return f"{number / 1000**power:.3g}{('', 'k', 'M', 'G', 'T', 'P')[power]}"


def bytes_in_short(number: int | None) -> str:
    """Bytes, in units of 1,024.

    Example:
        >>> bytes_in_short(1000), bytes_in_short(40 * 1024), bytes_in_short(3 << 20), bytes_in_short(None)
        ('1000 B', '40 KiB', '3 MiB', '–')
    """
    if number is None:
        return "–"
    power = next(power for power in range(5) if number < 1023.5 * 1024**power or power == 4)
    value = number / 1024**power
    return (
        f"{round(value, 2 if value < 10 else 1 if value < 100 else None):g} {('B', 'KiB', 'MiB', 'GiB', 'TiB')[power]}"
    )


def spelled(shape: Shape | None) -> str:
    """[40, 8, 64], or a dash."""
    return "–" if shape is None else f"[{', '.join(map(str, shape))}]"


def _terms(count: int) -> str:
    return f"{count:,} term{'s' if count != 1 else ''}"


def _product_lines(row: Seen, found: Sequence[Block], sequences: int, each: str) -> list[str]:
    if row.products is None:
        return ["multiply-adds: not counted, as no rule is known, and torch's counter does not know it"]
    lines = [_look_words(*look, sequences) for look in dict.fromkeys(row.looks)]
    if not row.products:
        return lines
    whole, step = row.products // sequences, sum(block.products for block in found)
    if step and not row.looks:
        worked = Counter(block.products_formula for block in found)
        shown = " + ".join(words if times == 1 else f"{times} × ({words})" for words, times in worked.items())
        steps = f"; × {whole // step:,} steps" if whole % step == 0 else "; over the steps that are there"
        return [f"multiply-adds a step: {shown} = {step:,}{steps} = {whole:,} a {each}"]
    if isinstance(row.module, (nn.Linear, _ConvNd)):
        weights = row.module.weight.numel()
        places = f"{whole // weights:,} place{'s' if whole != weights else ''}"
        return [f"multiply-adds: {weights:,} weights × {places} = {whole:,} a {each}"]
    return [*lines, f"multiply-adds{' in all' if lines else ''}: {whole:,} a {each}"]


def _look_words(calls: int, queries: int, keys: int, size: int, sequences: int) -> str:
    count = attended(queries, keys, size)
    if calls > sequences:
        why = f", in each of {calls // sequences} blocks of a sequence: linear in its steps"
    else:
        why = ", quadratic in the steps" if queries == keys else ""
    return f"Q Kᵀ and weights · V: 2 × {size} × {queries} queries × {keys} keys = {count:,}{why}"


def _convolution_lines(row: Seen) -> list[str]:
    module: Any = row.module
    if isinstance(module, CausalConv):
        spans = [
            f"{module.kernel_size - 1}·{module.dilation_base**layer}"
            for layer in range(module.num_layers)
            for _ in "ab"
        ]
        return [f"receptive field: 1 + {' + '.join(spans)} = {module.receptive_field} steps"]
    if isinstance(module, _ConvTransposeNd):
        return ["output: (W − 1) S − 2P + D (F − 1) + 1, and what output_padding adds"]
    sizes = spatial(module)
    if sizes is None or not row.sides or row.output is None:
        return []
    outputs, lines = row.output[-len(row.sides) :], []
    words = [_size_words(*one) for one in zip(row.sides, outputs, *sizes, strict=True)]
    lines += _by_axis("output", words)
    if row.reads is None:
        return [*lines, "receptive field: not followed, as what went in was made otherwise than number by number"]
    before, after = row.reads
    kernels, dilations = sizes[0], sizes[3]
    grown = [
        f"{read} + ({extent} − 1) × {apart} = {size}"
        for read, extent, apart, size in zip(
            before.size,
            [spread * (taps - 1) + 1 for taps, spread in zip(kernels, dilations, strict=True)],
            before.jump,
            after.size,
            strict=True,
        )
    ]
    return [*lines, *_by_axis("receptive field", grown)]


def _size_words(width: int, output: int, kernel: int, stride: int, padding: int, dilation: int) -> str:
    """⌊(W − F + 2P)/S⌋ + 1, F being the extent of a dilated kernel."""
    extent = dilation * (kernel - 1) + 1
    spread = f"F = {dilation} × ({kernel} − 1) + 1 = {extent}, " if dilation > 1 else ""
    try:
        usual = convolution_size(width, kernel, padding, stride, dilation)
    except ConfigurationError:
        usual = None
    upwards = usual != output
    left, right = ("⌈", "⌉") if upwards else ("⌊", "⌋")
    return f"{spread}{left}({width} − {extent} + 2 × {padding})/{stride}{right} + 1 = {output}"


def _by_axis(title: str, words: Sequence[str]) -> list[str]:
    if len(set(words)) == 1:
        return [f"{title}: {words[0]}" + (" on each side" if len(words) > 1 else "")]
    return [f"{title}: {axis}{word}" for axis, word in zip(_AXES[len(words)], words, strict=True)]


def _state_lines(row: Seen) -> list[str]:
    if getattr(row.module, "bidirectional", False) and isinstance(row.module, nn.Module):
        return ["reads both ways, so no state is carried from step to step"]
    return []
