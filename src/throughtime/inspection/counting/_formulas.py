"""Parameters and multiply-adds of each kind of module, worked out from its sizes in words and numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, TypeAlias, cast

from torch import nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from ...nn import CausalConv, MultiHeadAttention, Recurrent
from ...nn._scanned import Scanned, ScannedCell
from ...nn._stack import Stack
from ...nn.cell import GatedCell
from ...nn.convolution import convolution_parameters
from ..verification._blocks import gates_of

Shape: TypeAlias = tuple[int, ...]

GATED = (nn.RNNBase, nn.RNNCellBase, GatedCell)
SCANNED = (Scanned, ScannedCell)
ATTENTION = (nn.MultiheadAttention, MultiHeadAttention)
_WITHOUT_PRODUCTS = frozenset(
    f"torch.nn.modules.{name}"
    for name in (
        *("activation", "batchnorm", "channelshuffle", "container", "dropout", "flatten", "fold", "instancenorm"),
        *("normalization", "padding", "pixelshuffle", "pooling", "upsampling"),
    )
)
_POOLS = {
    1: (nn.MaxPool1d, nn.AvgPool1d),
    2: (nn.MaxPool2d, nn.AvgPool2d),
    3: (nn.MaxPool3d, nn.AvgPool3d),
}


@dataclass(frozen=True)
class Block:
    """The parameters of one layer and direction, or of one module.

    Args:
        name: which layer and direction, empty where there is one.
        parts: how many parameters each gate has, or else each weight and bias.
        formula: their sum worked out.
        count: their number.
        one_bias: what it would be with one bias a gate instead of torch's two.
        products: multiply-adds for one step of one sequence, in a recurrence.
        products_formula: those worked out.
    """

    name: str
    parts: Mapping[str, int]
    formula: str
    count: int
    one_bias: int
    products: int = 0
    products_formula: str = ""


def whole(module: nn.Module) -> bool:
    """Whether a module is counted as a whole, whatever it is made of."""
    if isinstance(module, Recurrent):
        return recurrent_cell(module) is not None
    kinds = (*GATED, *SCANNED, *ATTENTION, CausalConv, nn.Linear, nn.Bilinear, nn.Embedding, _ConvNd)
    return isinstance(module, kinds)


def recurrent_cell(module: nn.Module) -> nn.Module | None:
    """The cell of a `Recurrent` whose equations are known."""
    known = isinstance(module, Recurrent) and isinstance(module.cell, (*GATED, ScannedCell))
    return cast(Recurrent, module).cell if known else None


def blocks(module: nn.Module) -> list[Block]:
    """The parameters of a module that is counted as a whole; by their names where no formula fits it."""
    module = recurrent_cell(module) or module
    found: list[Block] = []
    for kinds, rule in _RULES:
        if isinstance(module, kinds):
            found = rule(module)
            break
    real = sum(parameter.numel() for parameter in module.parameters())
    return found if found and sum(block.count for block in found) == real else by_name(module.named_parameters())


def by_name(parameters: Iterable[tuple[str, Any]], name: str = "") -> list[Block]:
    """Each parameter with its shape."""
    shapes = {own: tuple(parameter.shape) for own, parameter in parameters}
    if not shapes:
        return []
    parts = {own: prod(shape) for own, shape in shapes.items()}
    total = sum(parts.values())
    terms = [f"{own} {' × '.join(f'{side:,}' for side in shape) or '1'}" for own, shape in shapes.items()]
    return [Block(name, parts, f"{' + '.join(terms)} = {total:,}", total, total)]


def products(module: nn.Module, shapes: Sequence[Shape], output: Shape) -> int | None:
    """Multiply-adds of the matrix products of one call, from the shapes of what came in and what went out.

    `None` where no rule is known. Sums, norms, activations and gates multiplied element by element are left out.
    """
    module = recurrent_cell(module) or module
    first = shapes[0] if shapes else ()
    if isinstance(module, GATED):
        return _steps(first) * sum(block.products for block in _gated(module))
    if isinstance(module, SCANNED):
        return _steps(first) * sum(block.products for block in _scanned(module))
    if isinstance(module, CausalConv):
        return _steps(first) * sum(block.products for block in _causal(module))
    if isinstance(module, nn.Linear):
        return prod(first[:-1]) * module.in_features * module.out_features
    if isinstance(module, nn.Bilinear):
        return prod(first[:-1]) * module.out_features * module.in1_features * (module.in2_features + 1)
    if isinstance(module, _ConvTransposeNd):
        return prod(first) * module.out_channels // module.groups * prod(module.kernel_size)
    if isinstance(module, _ConvNd):
        return prod(output) * module.in_channels // module.groups * prod(module.kernel_size)
    if isinstance(module, nn.MultiheadAttention):
        return _torch_attention_products(module, shapes)
    plain = type(module).__module__ in _WITHOUT_PRODUCTS
    return 0 if plain or isinstance(module, (nn.Embedding, nn.Identity)) else None


def spatial(module: nn.Module) -> tuple[Shape, Shape, Shape, Shape] | None:
    """Kernel, stride, padding and dilation of a convolution or a pool, one of each an axis.

    `None` for what has none, and for padding="same" that is not as wide on both sides.
    """
    own: Any = module
    if isinstance(module, _ConvNd) and not isinstance(module, _ConvTransposeNd):
        axes = len(own.kernel_size)
    else:
        axes = next((axes for axes, kinds in _POOLS.items() if isinstance(module, kinds)), 0)
    if not axes:
        return None

    def sides(value: int | Sequence[int]) -> Shape:
        return (value,) * axes if isinstance(value, int) else tuple(value)

    kernel, stride, dilation = sides(own.kernel_size), sides(own.stride), sides(getattr(own, "dilation", 1))
    if own.padding == "same":
        extra = [step * (side - 1) for side, step in zip(kernel, dilation, strict=True)]
        return None if any(one % 2 for one in extra) else (kernel, stride, tuple(one // 2 for one in extra), dilation)
    return kernel, stride, sides(0 if own.padding == "valid" else own.padding), dilation


def _steps(shape: Shape) -> int:
    """Time × batch of an input [..., feature]."""
    return prod(shape[:-1])


def _gated(module: Any) -> list[Block]:
    gates, inner = gates_of(module), isinstance(module, nn.RNNBase)
    layers = module.num_layers if inner else 1
    directions = 2 if inner and module.bidirectional else 1
    projected = getattr(module, "proj_size", 0)
    extras = module.recurrence.extras if isinstance(module, (Stack, GatedCell)) else {}
    found = []
    for layer in range(layers):
        width = directions * (projected or module.hidden_size) if layer else module.input_size
        for direction in range(directions):
            words = [f"layer {layer + 1}"] if layers > 1 else []
            words += [("forward", "backward")[direction]] if directions > 1 else []
            sizes = (width, module.hidden_size, projected)
            found.append(_gated_block(", ".join(words), gates, sizes, bool(module.bias), extras))
    return found


def _gated_block(
    name: str, gates: tuple[str, ...], sizes: tuple[int, int, int], bias: bool, extras: Mapping[str, Shape]
) -> Block:
    """I inputs, H units, and P numbers of h if it is projected: gates × H × (I + P + biases), and what comes on top."""
    width, hidden, projected = sizes
    read, count = projected or hidden, len(gates) or 1
    times = f"{count} × " if gates else ""
    beside = [f"{projected} × {hidden} projection"] if projected else []
    beside += _extra_words(extras, hidden)
    more = "".join(f" + {words}" for words in beside)
    own = {gate: hidden * (width + read + 2 * bias) for gate in gates or ("weights",)}
    for extra, (size,) in extras.items():
        part = extra.removeprefix("peephole_")
        if part in own:
            own[part] += size
        elif size == count * hidden and "memory" not in extra:
            own = {gate: held + hidden for gate, held in own.items()}
        else:
            own["memory norm"] = own.get("memory norm", 0) + size
    if projected:
        own["projection"] = projected * hidden
    total, sums = sum(own.values()), f"{hidden} × ({width} + {read}"
    one = total - count * hidden if bias else total
    labelled = f"{count} gates × " if gates else ""
    formula = f"{labelled}{sums}){more} = {total:,}, no bias"
    if bias:
        formula = (
            f"{labelled}{sums} + 1){more} = {one:,} with one bias; "
            f"torch keeps two: {times}{sums} + 2){more} = {total:,}"
        )
    multiplied = count * hidden * (width + read) + projected * hidden
    worked = f"{times}{sums})" + (f" + {projected} × {hidden}" if projected else "")
    return Block(name, own, formula, total, one, multiplied, worked)


def _extra_words(extras: Mapping[str, Shape], hidden: int) -> list[str]:
    peepholes = sum(name.startswith("peephole") for name in extras)
    norms = [size for name, (size,) in extras.items() if not name.startswith("peephole")]
    words = [f"{peepholes} × {hidden} peepholes"] if peepholes else []
    return [*words, *([f"{' + '.join(map(str, norms))} layer normalisation"] if norms else [])]


def _scanned(module: Any) -> list[Block]:
    cells: list[Any] = list(module.cells) if isinstance(module, Scanned) else [module]
    found = []
    for index, cell in enumerate(cells):
        count, bias = len(cell.gate_names), cell.gates.bias is not None
        width, hidden = cell.input_size, cell.hidden_size
        each, name = hidden * (width + bias), f"layer {index + 1}" if len(cells) > 1 else ""
        inner = f"{hidden} × ({width} + 1)" if bias else f"{hidden} × {width}"
        formula = f"{count} gates × {inner} = {count * each:,}{'' if bias else ', no bias'}; no gate reads h"
        multiplied = count * hidden * width
        worked = f"{count} × {hidden} × {width}"
        parts: dict[str, int] = dict.fromkeys(cell.gate_names, int(each))
        found.append(Block(name, parts, formula, count * each, count * each, multiplied, worked))
    return found


def _linear(module: Any) -> list[Block]:
    bias = module.bias is not None
    inner = f"({module.in_features} + 1)" if bias else str(module.in_features)
    count = module.out_features * (module.in_features + bias)
    return [_plain(module, f"{module.out_features} × {inner}", count, "" if bias else ", no bias")]


def _convolution(module: Any) -> list[Block]:
    """F · F · C_in · C_out + C_out; each of g groups reads a g-th of the channels."""
    bias, groups = module.bias is not None, module.groups
    kernel = " × ".join(map(str, module.kernel_size))
    channels = f"{module.in_channels}{f'/{groups}' if groups > 1 else ''} × {module.out_channels}"
    words = f"{kernel} × {channels}" + (f" + {module.out_channels}" if bias else "")
    return [_plain(module, words, _convolution_count(module, bias), "" if bias else ", no bias")]


def _convolution_count(module: Any, bias: bool) -> int:
    """A group by itself is a convolution of a g-th of the channels."""
    groups = module.groups
    own = (module.in_channels // groups, module.out_channels // groups, tuple(module.kernel_size))
    return groups * convolution_parameters(*own, bias=False) + bias * module.out_channels


def _embedding(module: Any) -> list[Block]:
    count = module.num_embeddings * module.embedding_dim
    return [_plain(module, f"{module.num_embeddings:,} symbols × {module.embedding_dim}", count)]


def _plain(module: nn.Module, words: str, count: int, note: str = "") -> Block:
    parts = {name: parameter.numel() for name, parameter in module.named_parameters()}
    return Block("", parts, f"{words} = {count:,}{note}", count, count)


def _causal(module: Any) -> list[Block]:
    """Of block l: K H (I + H) weights in two convolutions, their 2 H scales and 2 H biases, and what passes them by."""
    found, hidden, taps = [], module.hidden_size, module.kernel_size
    for index, block in enumerate(module.blocks):
        width, bias = (module.input_size if index == 0 else hidden), module.bias
        parts = {"convolutions": taps * hidden * (width + hidden), "scales": 2 * hidden}
        words = f"{taps} × {hidden} × ({width} + {hidden}) + 2 × {hidden} scales"
        if bias or module.norm == "batch":
            parts["biases"], words = 2 * hidden, f"{words} + 2 × {hidden} biases"
        worked = f"{taps} × {hidden} × ({width} + {hidden})"
        beside = width != hidden
        if beside:
            inner = f"({width} + 1)" if bias else str(width)
            parts["residual"], words = hidden * (width + bias), f"{words} + {hidden} × {inner} residual"
            worked += f" + {hidden} × {width}"
        count = sum(parts.values())
        multiplied = taps * hidden * (width + hidden) + beside * hidden * width
        name = f"block {index + 1}, dilation {block.convolutions[0].dilation[0]}"
        found.append(Block(name, parts, f"{words} = {count:,}", count, count, multiplied, worked))
    return found


def _attention(module: Any) -> list[Block]:
    if isinstance(module, MultiHeadAttention):
        size, key, value = module.query_size, module.source_size, module.source_size
        bias, extra = module.query.bias is not None, 0
    else:
        size, key, value = module.embed_dim, module.kdim, module.vdim
        bias, extra = module.in_proj_bias is not None, 2 * size * (module.bias_k is not None)
    parts = {"query": size * size, "key": size * key, "value": size * value, "output": size * size}
    words = " + ".join(f"{name} {size} × {count // size}" for name, count in parts.items())
    if bias:
        parts, words = {name: count + size for name, count in parts.items()}, f"{words} + 4 × {size} biases"
    if extra:
        parts["bias of keys and values"], words = extra, f"{words} + 2 × {size} biases of keys and values"
    total = sum(parts.values())
    return [Block("", parts, f"{words} = {total:,}", total, total)]


def _torch_attention_products(module: nn.MultiheadAttention, shapes: Sequence[Shape]) -> int | None:
    if len(shapes) < 3:
        return None
    batched = len(shapes[0]) == 3
    time = 1 if batched and module.batch_first else 0
    sequences = shapes[0][1 - time] if batched else 1
    queries, keys, size = shapes[0][time], shapes[1][time], module.embed_dim
    projections = queries * size * size * 2 + keys * size * (int(module.kdim or size) + int(module.vdim or size))
    seen = keys + (module.bias_k is not None) + bool(module.add_zero_attn)
    return sequences * (projections + attended(queries, seen, size))


def attended(queries: int, keys: int, size: int) -> int:
    """Q Kᵀ and weights · V, for `size` features in all heads, masked places included.

    Example:
        >>> attended(queries=40, keys=40, size=64)
        204800
    """
    return 2 * size * queries * keys


_RULES: tuple[tuple[Any, Any], ...] = (
    (GATED, _gated),
    (SCANNED, _scanned),
    (CausalConv, _causal),
    (ATTENTION, _attention),
    (nn.Linear, _linear),
    (_ConvNd, _convolution),
    (nn.Embedding, _embedding),
)
