"""What attention looks at: the weights of every head on a batch, how sharp they are, and how far back they reach."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from rich.table import Table
from torch import Tensor, nn

from ..._errors import ConfigurationError, DataError, UnsupportedError
from ..._types import Batch
from ...nn.visiting import visited
from .._numbers import plain
from .._trajectory import evaluated
from .._unrolling import begun_at
from ..counting._footprint import run_over, undisturbed
from ._attending import Look, attended
from ._attention_picture import draw_attention
from ._named import named


@dataclass(frozen=True)
class LayerAttention:
    """The maps of one call of an attention, and means of them over queries and sequences.

    Of causal attention the first step of each sequence is left out of the means: it has nothing but itself to look at.

    Args:
        name: of the attention in the model; with the number of the call where there are several.
        maps: the weights [batch, head, queries, keys] that the forward used; each row sums to one, or is zero where a
            query may look nowhere.
        counted: the queries that are no padding, bool [batch, queries].
        causal: whether no query looks at a later key.
        itself: whether queries and keys are steps of the same sequence.
        entropy: of a query's weights, nats [head]: 0 where it looks at one key, ln n where at n alike.
        distance: Σ weight × |query − key|, steps [head]; of causal attention how far it looks back; `None` where
            queries and keys are of different sequences.
        on_itself: the weight of the query's own position [head]; `None` likewise.
        on_first: the weight of the first key of the sequence [head].
    """

    name: str
    maps: np.ndarray
    counted: np.ndarray
    causal: bool
    itself: bool
    entropy: np.ndarray
    distance: np.ndarray | None
    on_itself: np.ndarray | None
    on_first: np.ndarray

    @property
    def heads(self) -> int:
        """How many."""
        return self.maps.shape[1]

    def to_dict(self, *, maps: bool = False) -> dict[str, Any]:
        """Plain numbers; what is not finite becomes `None`."""
        means = {name: getattr(self, name) for name in ("entropy", "distance", "on_itself", "on_first")}
        told: dict[str, Any] = {"name": self.name, "causal": self.causal, "itself": self.itself, "heads": self.heads}
        told |= {name: None if values is None else plain(values) for name, values in means.items()}
        return told | ({"maps": plain(self.maps), "counted": self.counted.tolist()} if maps else {})


@dataclass(frozen=True)
class AttentionMaps:
    """What `attention_maps` found: a record for each call of an attention, in the order of the modules."""

    layers: tuple[LayerAttention, ...]

    def layer(self, name: str) -> LayerAttention:
        """The layer of that name.

        Raises:
            ConfigurationError: where there is none.
        """
        return named(self.layers, name)

    def to_dict(self, *, maps: bool = False) -> dict[str, Any]:
        """Plain numbers and words.

        Args:
            maps: whether the weights themselves come too.
        """
        return {"layers": [layer.to_dict(maps=maps) for layer in self.layers]}

    def table(self) -> Table:
        """A row a head: its entropy, as how many keys alike that is, how far it looks, at itself, at the first."""
        table = Table(title="attention")
        table.add_column("layer", overflow="fold")
        for heading in ("head", "nats", "keys", "away", "itself", "first"):
            table.add_column(heading, justify="right", no_wrap=True)
        for layer in self.layers:
            for head in range(layer.heads):
                table.add_row(
                    "" if head else layer.name,
                    str(head),
                    f"{layer.entropy[head]:.2f}",
                    f"{np.exp(layer.entropy[head]):.3g}",
                    "–" if layer.distance is None else f"{layer.distance[head]:.3g}",
                    "–" if layer.on_itself is None else f"{layer.on_itself[head]:.0%}",
                    f"{layer.on_first[head]:.0%}",
                )
            table.add_section()
        return table

    def plot(self, sample: int = 0, labels: Sequence[Any] | None = None, *, layer: str | None = None) -> Figure:
        """A map a head, queries downward and keys to the right, of one sequence.

        Args:
            sample: which sequence.
            labels: of the steps, such as their symbols; of attention to another sequence a pair, those of the queries
                and those of the keys. Shown where they have room.
            layer: the name of one; by default all.

        Raises:
            ConfigurationError: for a sequence or layer that there is not.
        """
        shown = self.layers if layer is None else (self.layer(layer),)
        count = len(shown[0].maps)
        if not 0 <= sample < count:
            raise ConfigurationError(f"sample={sample}: expected a sequence of the batch, 0 to {count - 1}")
        return draw_attention(shown, sample, labels)


def attention_maps(model: nn.Module, batch: Batch | Tensor | tuple[Tensor, ...]) -> AttentionMaps:
    """Take down what every head of every attention in a model looks at, in one forward over a batch.

    Seen are `MultiHeadAttention`, `Transformer` and `TransformerEncoder`, torch.nn's `MultiheadAttention` and whatever
    is built of it, and any module that calls `torch.nn.functional.scaled_dot_product_attention`. The weights are those
    that the forward uses, after masks and softmax; the model runs in evaluation mode, torch's fast path, which keeps
    them to itself, is off meanwhile, and the model is left as it was. Memory grows with batch × head × time².

    Args:
        batch: a `Batch`; or of a model that reads something else its input, or a tuple of its inputs, as
            (target, source) of a `Seq2Seq`, or (source, target) of `torch.nn.Transformer`.

    Raises:
        UnsupportedError: for a model in which no attention was seen, one whose weights do not explain its output, or a
            `Transformer` that is fed in pieces.
        DataError: for weights that are not finite, or a batch without a step.

    Example:
        >>> from throughtime.nn import Transformer
        >>> layer = Transformer(3, 8, num_layers=1, num_heads=2, context=4)
        >>> found = attention_maps(layer, torch.randn(6, 5, 3))
        >>> found.layers[0].name, found.layers[0].maps.shape, found.layers[0].causal
        ('layers.0.attention', (5, 2, 6, 6), True)

    References:
        Vaswani et al., "Attention is all you need", NeurIPS 2017, https://arxiv.org/abs/1706.03762; Clark, Khandelwal,
        Levy & Manning, "What does BERT look at?", BlackboxNLP 2019, https://arxiv.org/abs/1906.04341 (entropies and
        heads that look at a fixed offset); Xiao et al., "Efficient streaming language models with attention sinks",
        ICLR 2024, https://arxiv.org/abs/2309.17453 (the first position).
    """
    given = batch.segment(0, len(batch.inputs)) if isinstance(batch, Batch) else batch
    if any(part.numel() == 0 for part in _parts(given)):
        raise DataError(f"the batch is {[list(part.shape) for part in _parts(given)]}: expected a step at least")
    with undisturbed(model), evaluated(model), torch.no_grad(), attended(model) as looks:
        run_over(model, given)
    if not looks:
        raise UnsupportedError(_why_not(model))
    order = {name or type(model).__name__: at for at, (name, _) in enumerate(model.named_modules())}
    looks.sort(key=lambda look: order[look.name])
    calls: dict[str, int] = {}
    layers = []
    for look in looks:
        calls[look.name] = calls.get(look.name, 0) + 1
        name = look.name if calls[look.name] == 1 else f"{look.name}, call {calls[look.name]}"
        layers.append(_layer(name, look, given))
    return AttentionMaps(tuple(layers))


def _parts(given: Batch | Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    if isinstance(given, Batch):
        return (given.inputs,)
    return (given,) if isinstance(given, Tensor) else given


def _why_not(model: nn.Module) -> str:
    reason = f"no attention was seen in {type(model).__name__}: none of its modules calls one of ours, torch.nn's or "
    reason += "scaled_dot_product_attention"
    with visited(model, lambda place, x, before, after: after) as places:
        return f"{reason}; what its recurrence does is shown by gates" if places else reason


def _layer(name: str, look: Look, given: Batch | Tensor | tuple[Tensor, ...]) -> LayerAttention:
    weights = look.weights.double()
    batch, _, queries, keys = weights.shape
    if not torch.isfinite(weights).all():
        where = (~torch.isfinite(weights)).flatten(2).any(2).nonzero()[0].tolist()
        raise DataError(
            f"the weights of {name} are not finite in sequence {where[0]}, head {where[1]}: its input is not, or a "
            "query is masked from every key"
        )
    itself = queries == keys and look.itself is not False
    causal = itself and not bool(weights.triu(1).any())
    counted, begun = torch.ones(batch, queries, dtype=torch.bool), torch.zeros(batch, queries, dtype=torch.long)
    if isinstance(given, Batch) and tuple(given.inputs.shape[:2]) == (queries, batch):
        steps = torch.arange(queries)
        begun = begun_at(given, torch.zeros(queries, batch)).cpu().T
        if given.lengths is not None:
            counted = steps < given.lengths.cpu()[:, None]
    begun, meant = begun.to(weights.device), counted.to(weights.device)
    at = torch.arange(queries, device=weights.device)
    if causal and keys > 1:
        meant = meant & (at > begun)

    def mean(values: Tensor) -> np.ndarray:
        """Of [batch, head, queries]."""
        rows = values.transpose(1, 2)[meant]
        return (rows.mean(0) if len(rows) else rows.new_full((weights.shape[1],), torch.nan)).cpu().numpy()

    first = begun[:, None, :, None].expand(-1, weights.shape[1], -1, -1)
    apart = (at[:, None] - at).abs().double() if itself else None
    return LayerAttention(
        name,
        look.weights.float().cpu().numpy() if look.weights.dtype != torch.float64 else weights.cpu().numpy(),
        counted.numpy(),
        causal,
        itself,
        mean(torch.special.entr(weights).sum(-1)),
        None if apart is None else mean((weights * apart).sum(-1)),
        mean(weights.diagonal(dim1=-2, dim2=-1)) if itself else None,
        mean(weights.gather(-1, first)[..., 0] if itself else weights[..., 0]),
    )
