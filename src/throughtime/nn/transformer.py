"""The Transformer as a layer with a state: the keys and values of a fixed context."""

from __future__ import annotations

from functools import partial
from typing import Any, cast

import torch
from torch import Tensor

from .._errors import ConfigurationError, ShapeError
from .._state import leaves
from .._types import Lengths, Resets, State
from ._blocks import Block, Blocks, Projected, valid_steps
from ._checks import check_features, check_lengths, check_resets
from ._marks import mark_output
from ._window import Window


class Transformer(Blocks):
    """Causal self-attention in layers, each step seeing the last `context` steps, itself included, of the layer below.

    Layers are pre-norm: x + attention(norm x), then x + feedforward(norm x) with GELU; a last norm follows. A sequence
    may be fed whole or in pieces, and gives the same; one step costs what `context` keys cost. Through its layers a
    step can reach back num_layers × (context − 1) steps.

    Args:
        input_size: features of x.
        hidden_size: features of each layer and of the output.
        num_layers: how many layers.
        num_heads: heads of a layer, which share hidden_size equally.
        context: how many steps a step sees.
        feedforward_size: features between the two products of a layer; `None` for 4 × hidden_size.
        dropout: acts in training on the first layer's input, attention weights, and what each layer adds.
        positions: "rotary" (queries and keys are turned), "sinusoidal" (added to the first layer's input), or "none".
        source_size: features of another sequence that each layer looks at after its own past, through keys and values
            projected by itself: see `read`. `None` where there is none.

    Its state is `{"layers": ({"keys": …, "values": …}, …), "position": integers [batch]}`: of each layer the last keys
    and values, [batch, head, context, head_size], the newest last, and how many steps each sequence has had.

    Raises:
        ConfigurationError: for settings out of range, or heads that do not fit the features.

    Example:
        >>> layer = Transformer(3, 8, num_heads=2, context=4)
        >>> x = torch.randn(7, 2, 3)
        >>> whole, _ = layer(x)
        >>> first, state = layer(x[:5])
        >>> second, state = layer(x[5:], state)
        >>> torch.allclose(torch.cat([first, second]), whole, atol=1e-6)
        True

    References:
        Vaswani et al., "Attention is all you need", NeurIPS 2017, https://arxiv.org/abs/1706.03762; Xiong et al., "On
        layer normalization in the Transformer architecture", ICML 2020, https://arxiv.org/abs/2002.04745 (pre-norm);
        Beltagy, Peters & Cohan, "Longformer", 2020, https://arxiv.org/abs/2004.05150 (the sliding window).
    """

    streams = True

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 2,
        num_heads: int = 4,
        context: int = 256,
        feedforward_size: int | None = None,
        dropout: float = 0.0,
        positions: str = "rotary",
        *,
        source_size: int | None = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        shape = (input_size, hidden_size, num_layers, num_heads, feedforward_size, dropout, positions, source_size)
        super().__init__(*shape, device=device, dtype=dtype)
        if context < 1:
            raise ConfigurationError(f"{type(self).__name__}(context={context}): a step sees at least itself")
        self.context = context

    def initial_state(self, batch_size: int, *, device: Any = None, dtype: Any = None) -> State:
        """No keys, no values, position 0."""
        like = self.norm.weight
        where = {"device": device or like.device, "dtype": dtype or like.dtype}
        shape = self._cache_shape(batch_size)
        return {
            "layers": tuple(
                {"keys": torch.zeros(shape, **where), "values": torch.zeros(shape, **where)} for _ in self.layers
            ),
            "position": torch.zeros(batch_size, dtype=torch.long, device=where["device"]),
        }

    def forward(
        self,
        x: Tensor,
        state: State = None,
        *,
        lengths: Lengths | None = None,
        resets: Resets | None = None,
        source: tuple[Projected, ...] | None = None,
    ) -> tuple[Tensor, State]:
        """Run all layers over x [time, batch, input_size].

        Args:
            state: the state before the first step; `None` is the initial one.
            lengths: integers [batch]; outputs past them are zero, the state is each sequence's own last.
            resets: bool [time, batch]; from these steps on nothing earlier is seen, and positions start at 0 again.
            source: what `read` gave, of a layer with a `source_size`.

        Returns:
            The outputs [time, batch, hidden_size], and the state after the last step.

        Raises:
            ShapeError, ConfigurationError: where x, state, lengths or resets contradict the layer or one another, or
                a source is missing.
        """
        return self._run(x, state, lengths, resets, source)

    def read(self, source: Tensor, lengths: Lengths | None = None) -> tuple[Projected, ...]:
        """Each layer's own keys and values of a source [source time, batch, source_size], for any number of calls.

        Args:
            lengths: integers [batch]; what stands in the source past them is not looked at.

        Raises:
            ShapeError, ConfigurationError: where the source contradicts the layer or the lengths.
        """
        name = f"{type(self).__name__}.read"
        if self.source_size is None or source.dim() != 3:
            raise ShapeError(
                f"{name} got {list(source.shape)}, expected [source time, batch, source_size] for a layer built with "
                f"a source_size, and this one has {self.source_size}"
            )
        check_features(name, source, self.source_size, self.input.weight)
        mask = None
        if lengths is not None:
            check_lengths(name, lengths, len(source), source.shape[1], source.device)
            valid = valid_steps(lengths, len(source))
            source = source.masked_fill(~valid[..., None], 0)
            mask = valid.T[:, None, None]
        attentions = [cast(Block, layer).source_attention for layer in self.layers]
        return tuple(Projected(*attention.keys_values(source), mask) for attention in attentions)

    def attention_weights(self, x: Tensor, *, lengths: Lengths | None = None, resets: Resets | None = None) -> Tensor:
        """How much each step of whole sequences takes from each, [layer, batch, head, time, time], without dropout.

        Its memory grows with time². Rows past a length mean nothing.

        Raises:
            ShapeError, ConfigurationError: as `forward`.
        """
        found: list[Tensor] = []
        self._run(x, None, lengths, resets, None, found)
        return torch.stack(found)

    def _run(
        self,
        x: Tensor,
        state: State,
        lengths: Tensor | None,
        resets: Tensor | None,
        source: tuple[Projected, ...] | None,
        found: list[Tensor] | None = None,
    ) -> tuple[Tensor, State]:
        self._check(x, state, lengths, resets, source)
        time, batch = x.shape[:2]
        fresh = state is None
        if fresh:
            state = self.initial_state(batch, device=x.device, dtype=x.dtype)
        if time == 0:
            return x.new_zeros(0, batch, self.hidden_size), state
        padding = None if lengths is None else ~valid_steps(lengths, time)[..., None]
        window = Window(self.context, time, state["position"], fresh, lengths, resets, found)
        hidden, turn = self._begin(x if padding is None else x.masked_fill(padding, 0), window.positions)
        caches = []
        for layer, cache, seen in zip(self.layers, state["layers"], source or (None,) * self.num_layers, strict=True):
            hidden, cache = layer(hidden, partial(window.attend, cache, turn), seen)
            caches.append(cache)
        output = self.norm(hidden)
        output = output if padding is None else output.masked_fill(padding, 0)
        return mark_output(output, 1), {"layers": tuple(caches), "position": window.after}

    def _cache_shape(self, batch: int) -> tuple[int, ...]:
        return batch, self.num_heads, self.context, self.head_size

    def _check(self, x: Tensor, state: State, lengths: Any, resets: Any, source: Any) -> None:
        name = type(self).__name__
        self._check_input(x)
        time, batch = x.shape[:2]
        if lengths is not None:
            check_lengths(name, lengths, time, batch, x.device)
        if resets is not None:
            check_resets(name, resets, time, batch, x.device)
        if (source is None) != (self.source_size is None):
            fix = "pass source=layer.read(…)" if source is None else "build it with that, or leave the source out"
            raise ConfigurationError(f"{name} has source_size={self.source_size}: {fix}")
        if source is not None and source[0].keys.shape[0] != batch:
            raise ShapeError(f"{name} got a source of a batch of {source[0].keys.shape[0]}, x has {batch}")
        if state is not None:
            self._check_state(state, x)

    def _check_state(self, state: State, x: Tensor) -> None:
        name, batch = type(self).__name__, x.shape[1]
        if not isinstance(state, dict) or set(state) != {"layers", "position"}:
            raise ShapeError(f"{name} got a state that is a {type(state).__name__} of another layer; pass on its own")
        caches = [part for _, part in leaves(state["layers"])]
        wanted = [self._cache_shape(batch)] * 2 * self.num_layers
        given = [tuple(part.shape) for part in caches]
        if given != wanted or tuple(state["position"].shape) != (batch,):
            raise ShapeError(
                f"{name} got a state of {len(given)} keys and values {sorted(set(given))} and positions "
                f"{list(state['position'].shape)}, expected {len(wanted)} of {wanted[0]} and [{batch}]: it is another "
                "layer's, or of another batch"
            )
        if caches[0].dtype != x.dtype and not torch._C._is_any_autocast_enabled():
            raise ConfigurationError(
                f"{name} got a state of {caches[0].dtype} for an input of {x.dtype}: use one dtype"
            )
        if caches[0].device != x.device:
            raise ConfigurationError(f"{name} got a state on {caches[0].device}, input on {x.device}: move it there")
