"""Questions that Dynamo asks once, while it traces, and does not look into."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

Question = TypeVar("Question", bound=Callable[..., object])


def constant(question: Question) -> Question:
    """Let Dynamo take what `question` returns as it is.

    torch.compiler.assume_constant_result does no more than this, but loads all of Dynamo first, which takes longer than
    everything else that `import throughtime` does.
    """
    question._dynamo_marked_constant = True  # type: ignore[attr-defined]
    return question
