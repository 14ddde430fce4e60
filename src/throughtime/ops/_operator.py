"""Custom operators that answer for themselves where torch differentiates; torch's own give zeros in forward mode."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch._compile import _disable_dynamo

_OPERATORS = torch.library.Library("throughtime", "FRAGMENT")


def define(kernel: Callable[..., Any], *, fake: Callable[..., Any], rule: Callable[..., Any]) -> Any:
    """Make an operator of the annotated function `kernel`.

    Args:
        kernel: what runs on the CPU.
        fake: gives results of the right shapes with nothing in them.
        rule: `rule(run, *arguments)` is called in the place of torch's autograd, and in whatever it calls it may
            differentiate or be transformed; `run(*arguments)` goes on to the kernel.
    """
    name = kernel.__name__.strip("_")
    schema = torch.library.infer_schema(kernel, mutates_args=())
    _OPERATORS.define(name + schema, tags=(torch.Tag.pt2_compliant_tag,))
    operator = getattr(torch.ops.throughtime, name).default
    # Dynamo is not to look into what runs inside its own graphs.
    _OPERATORS.impl(name, _disable_dynamo(kernel), "CPU")
    torch.library.register_fake(f"throughtime::{name}", fake, lib=_OPERATORS)

    def differentiable(keyset: Any, *arguments: Any) -> Any:
        def run(*given: Any) -> Any:
            with torch._C._AutoDispatchBelowAutograd():
                return operator.redispatch(keyset & torch._C._after_autograd_keyset, *given)

        return rule(run, *arguments)

    _OPERATORS.impl(name, _disable_dynamo(differentiable), "Autograd", with_keyset=True)
    return operator
