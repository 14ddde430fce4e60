"""Two recurrent networks: one reads the source, the other writes the target and attends to what was read."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.distributions import Categorical
from torch.nn.functional import scaled_dot_product_attention

from ..._errors import ConfigurationError
from ..._types import Lengths, State
from ...nn import GRU, LSTM, Linear
from ..heads import CategoricalHead
from .conditional import Conditional

_CELLS = {"gru": GRU, "lstm": LSTM}


class RecurrentSeq2Seq(Conditional):
    """P(target | source) by a GRU or LSTM that encodes and one that decodes, with Luong's global attention.

    The decoder begins in the encoder's last state. At each step its output h_t is compared with every output s_i of the
    encoder by h_tᵀ W s_i (the "general" score, not scaled); c_t is the mean of the s_i, weighted by the softmax of
    these scores; and y_t is predicted from tanh(W_c [c_t; h_t]). Attention stands beside the recurrence and is not fed
    back into it, so that a whole target is decoded in one call of the layers; Bahdanau's attention precedes the step.

    Args:
        source_size: how many symbols the source is made of.
        target_size: how many symbols the target is made of, the end symbol among them.
        end: the symbol at which a target ends; `None` where targets are cut by their number of steps alone.
        cell: "gru" or "lstm".
        hidden_size: features of embeddings and layers.
        num_layers: layers of the encoder, and as many of the decoder.
        dropout: acts in training on embeddings, between layers, and before the head.

    Raises:
        ConfigurationError: for settings out of range.

    Example:
        >>> model = RecurrentSeq2Seq(5, 3, end=2, hidden_size=8)
        >>> source = torch.tensor([[0, 4], [3, 1], [1, 0]])
        >>> model.log_prob(torch.tensor([[1, 2], [2, 0]]), source, target_lengths=torch.tensor([2, 1])).shape
        torch.Size([2, 2])

    References:
        Sutskever, Vinyals & Le, "Sequence to sequence learning with neural networks", NeurIPS 2014,
        https://arxiv.org/abs/1409.3215; Luong, Pham & Manning, "Effective approaches to attention-based neural machine
        translation", EMNLP 2015, https://arxiv.org/abs/1508.04025; Bahdanau, Cho & Bengio, "Neural machine translation
        by jointly learning to align and translate", ICLR 2015, https://arxiv.org/abs/1409.0473.
    """

    def __init__(
        self,
        source_size: int,
        target_size: int,
        *,
        end: int | None = None,
        cell: str = "gru",
        hidden_size: int = 128,
        num_layers: int = 1,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(source_size, target_size, end)
        if cell not in _CELLS:
            raise ConfigurationError(f"RecurrentSeq2Seq(cell={cell!r}): expected one of {', '.join(_CELLS)}")
        shape = (hidden_size, hidden_size, num_layers)
        between = dropout if num_layers > 1 else 0.0
        self.source_embedding = nn.Embedding(source_size, hidden_size)
        self.target_embedding = nn.Embedding(target_size + 1, hidden_size)
        self.encoder = _CELLS[cell](*shape, dropout=between)
        self.decoder = _CELLS[cell](*shape, dropout=between)
        self.score = Linear(hidden_size, hidden_size, bias=False)
        self.combination = Linear(2 * hidden_size, hidden_size, bias=False)
        self.dropout = nn.Dropout(dropout)
        self.head = CategoricalHead(hidden_size, target_size)

    def encode(self, source: Tensor, lengths: Lengths | None = None) -> tuple[State, State]:
        """The encoder's outputs on a source [source time, batch], batch first, and its last state."""
        outputs, state = self.encoder(self.dropout(self.source_embedding(source)), lengths=lengths)
        mask = None
        if lengths is not None:
            mask = torch.arange(len(source), device=source.device) < lengths[:, None, None]
        return {"outputs": outputs.transpose(0, 1), "mask": mask}, state

    def decode(self, previous: Tensor, memory: State, state: State) -> tuple[Categorical, State]:
        """The distribution of each y_t; `previous` [time, batch] holds y_{t−1}, and before y_1 `target_size`."""
        features, state = self.decoder(self.dropout(self.target_embedding(previous)), state)
        outputs, queries = memory["outputs"], self.score(features).transpose(0, 1)
        context = scaled_dot_product_attention(queries, outputs, outputs, memory["mask"], scale=1.0).transpose(0, 1)
        combined = torch.tanh(self.combination(torch.cat([context, features], -1)))
        return self.head(self.dropout(combined)), state
