"""The attention weights of one forward, seen where they are used."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from ..._errors import UnsupportedError
from ...nn import MultiHeadAttention, Transformer

_HEADS = functional.multi_head_attention_forward
_FUSED = functional.scaled_dot_product_attention
_OWN = "this call's weights are seen elsewhere"


@dataclass(frozen=True)
class Look:
    """One call of an attention.

    Args:
        name: of the module in the model.
        weights: [batch, head, queries, keys].
        itself: whether queries and keys are steps of the same sequence; `None` where the call does not tell.
    """

    name: str
    weights: Tensor
    itself: bool | None


@contextmanager
def attended(model: nn.Module) -> Iterator[list[Look]]:
    """Inside, what every attention in `model` looks at is appended, in the order of the calls.

    Seen are our attention and Transformers, torch.nn's, and whoever calls `scaled_dot_product_attention`. Weights are
    those that the forward uses, masked, scaled and per head; what a fused function keeps to itself is asked of it once
    more, and must give the output that the forward had. The model has to be in evaluation mode, without torch's fast
    path, which passes over the modules inside.

    Raises:
        UnsupportedError: inside, where it does not, or a Transformer is fed in pieces.
    """
    watch = _Watch(type(model).__name__)
    names = {part: name or type(model).__name__ for name, part in model.named_modules()}
    causal = {layer.attention for part in names if isinstance(part, Transformer) for layer in part.layers}
    with ExitStack() as undo:
        for part, name in names.items():
            undo.callback(part.register_forward_pre_hook(watch.entering(name)).remove)
            undo.callback(part.register_forward_hook(watch.leaving, always_call=True).remove)
            if isinstance(part, MultiHeadAttention):
                part.attend = watch.attending(_OWN if part in causal else name, part.attend)
                undo.callback(delattr, part, "attend")
                undo.callback(part.register_forward_hook(watch.told, with_kwargs=True, prepend=True).remove)
            if isinstance(part, Transformer):
                part._run = watch.running(name, part, [names[layer.attention] for layer in part.layers])
                undo.callback(delattr, part, "_run")
        with watch:
            yield watch.looks


class _Watch(TorchFunctionMode):
    """Sees the functions that attend, and knows whose they are."""

    def __init__(self, root: str) -> None:
        super().__init__()
        self.stack, self.looks = [root], list[Look]()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        named = kwargs or {}
        if func is _HEADS:
            return self._heads(args, named)
        if func is _FUSED and self.stack[-1] is not _OWN:
            return self._fused(*args, **named)
        return func(*args, **named)

    def entering(self, name: str) -> Callable[..., None]:
        return lambda *given: self.stack.append(name)

    def leaving(self, *given: Any) -> None:
        self.stack.pop()

    def told(self, part: Any, given: tuple[Any, ...], named: dict[str, Any], result: Any) -> None:
        """Of our attention, which was asked for weights, or has just called the fused function."""
        query, source = given[0], given[1] if len(given) > 1 else named.get("source")
        itself = source is None or source is query
        if result[1] is not None:
            self._add(result[1], itself)
        else:
            last = self.looks.pop()
            self.looks.append(Look(last.name, last.weights, itself))

    def attending(self, name: str, attend: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def watched(*given: Any, **named: Any) -> Tensor:
            self.stack.append(name)
            seen = attend(*given, **named)
            self.stack.pop()
            return seen

        return watched

    def running(self, name: str, layer: Transformer, inside: list[str]) -> Callable[..., Any]:
        """A Transformer takes its steps in blocks, and knows itself what they look at."""
        run: Callable[..., Any] = layer._run

        def watched(x: Tensor, state: Any, *marks: Any) -> Any:
            """`marks` are lengths, resets, a source, and where there is one a list for the weights."""
            if state is not None and bool(state["position"].any()):
                raise UnsupportedError(
                    f"{name} is fed in pieces, each with a state, and its maps are of whole sequences: call it once"
                )
            mine: list[Tensor] = []
            result = run(x, state, *marks[:3], mine)
            self.looks += [Look(own, one.detach(), True) for own, one in zip(inside, mine, strict=True)]
            for found in marks[3:]:
                found += mine
            return result

        return watched

    def _add(self, weights: Tensor, itself: bool | None) -> None:
        while weights.dim() < 4:
            weights = weights.unsqueeze(1 if weights.dim() == 3 else 0)
        self.looks.append(Look(self.stack[-1], weights.detach().flatten(0, -4), itself))

    def _heads(self, args: tuple[Any, ...], named: dict[str, Any]) -> tuple[Tensor, Tensor | None]:
        """torch.nn.MultiheadAttention's own function."""
        given = inspect.signature(_HEADS).bind(*args, **named).arguments
        output, weights = _HEADS(**given)
        again, told = _HEADS(**{**given, "need_weights": True, "average_attn_weights": False})
        per_head = cast(Tensor, told)
        blind = per_head.isnan().all(-1, keepdim=True)
        self._check(output, torch.where(again.isnan(), output, again))
        if not output.isnan().any():
            per_head = per_head.masked_fill(blind, 0)
        batched = given["query"].dim() == 3
        self._add(per_head if batched else per_head[None], given["query"] is given["key"])
        return output, weights

    def _fused(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        **named: Any,
    ) -> Tensor:
        """The same function of the identity in place of the values gives the weights."""
        output = _FUSED(query, key, value, attn_mask, dropout_p, is_causal, **named)
        every = torch.eye(value.shape[-2], dtype=value.dtype, device=value.device)
        weights = _FUSED(query, key, every.expand(*value.shape[:-1], -1), attn_mask, 0.0, is_causal, **named)
        if named.get("enable_gqa"):
            value = value.repeat_interleave(query.shape[-3] // value.shape[-3], -3)
        self._check(output, weights @ value)
        self._add(weights, None)
        return output

    def _check(self, output: Tensor, again: Tensor) -> None:
        exact = torch.finfo(output.dtype).eps ** 0.5
        scale = float(output.detach().abs().nan_to_num().max()) if output.numel() else 0.0
        if not torch.allclose(output, again, rtol=exact, atol=exact * max(scale, 1e-30), equal_nan=True):
            raise UnsupportedError(
                f"what {self.stack[-1]} looks at cannot be told: weights times values are not what it gives; dropout "
                "that stays on in evaluation would do that"
            )
