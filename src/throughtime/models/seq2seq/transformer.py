"""The Transformer of two parts: one reads the source, the other writes the target and looks at what was read."""

from __future__ import annotations

from torch import Tensor, nn
from torch.distributions import Categorical

from ..._types import Lengths, State
from ...nn import Transformer, TransformerEncoder
from ..heads import CategoricalHead
from .conditional import Conditional


class Seq2Seq(Conditional):
    """P(target | source) by a Transformer encoder and decoder.

    The encoder sees all of the source; each layer of the decoder sees the last `context` symbols of the target, and,
    by keys and values that it projects itself from the encoder's output, all of the source.

    Args:
        source_size: how many symbols the source is made of.
        target_size: how many symbols the target is made of, the end symbol among them.
        end: the symbol at which a target ends; `None` where targets are cut by their number of steps alone.
        hidden_size: features of embeddings and layers.
        num_layers: layers of the encoder, and as many of the decoder.
        num_heads: heads of a layer, which share hidden_size equally.
        context: how many symbols of the target a layer sees, the one just written included.
        dropout: as of `nn.Transformer`.
        positions: "sinusoidal", "rotary" or "none", as of `nn.Transformer`; the decoder finds places in the source by
            what the encoder knows of them, and of rotary positions that is only how far apart symbols are.

    Raises:
        ConfigurationError: for settings out of range.

    Example:
        >>> import torch
        >>> model = Seq2Seq(5, 3, end=2, hidden_size=8, num_heads=2).eval()
        >>> source = torch.tensor([[0, 4], [3, 1], [1, 0]])
        >>> model.log_prob(torch.tensor([[1, 2], [2, 0]]), source, target_lengths=torch.tensor([2, 1])).shape
        torch.Size([2, 2])
        >>> target, lengths = model.sample(source, 6)
        >>> bool((lengths <= 6).all())
        True

    References:
        Vaswani et al., "Attention is all you need", NeurIPS 2017, https://arxiv.org/abs/1706.03762
    """

    def __init__(
        self,
        source_size: int,
        target_size: int,
        *,
        end: int | None = None,
        hidden_size: int = 128,
        num_layers: int = 2,
        num_heads: int = 4,
        context: int = 256,
        dropout: float = 0.0,
        positions: str = "sinusoidal",
    ) -> None:
        super().__init__(source_size, target_size, end)
        shape = {"num_layers": num_layers, "num_heads": num_heads, "dropout": dropout, "positions": positions}
        self.source_embedding = nn.Embedding(source_size, hidden_size)
        self.target_embedding = nn.Embedding(target_size + 1, hidden_size)
        self.encoder = TransformerEncoder(hidden_size, hidden_size, **shape)
        self.decoder = Transformer(hidden_size, hidden_size, context=context, source_size=hidden_size, **shape)
        self.head = CategoricalHead(hidden_size, target_size)

    def encode(self, source: Tensor, lengths: Lengths | None = None) -> tuple[State, State]:
        """Each decoder layer's keys and values of the source [source time, batch], and no history."""
        output, _ = self.encoder(self.source_embedding(source), lengths=lengths)
        return self.decoder.read(output, lengths), None

    def decode(self, previous: Tensor, memory: State, state: State) -> tuple[Categorical, State]:
        """The distribution of each y_t; `previous` [time, batch] holds y_{t−1}, and before y_1 `target_size`."""
        features, state = self.decoder(self.target_embedding(previous), state, source=memory)
        return self.head(features), state
