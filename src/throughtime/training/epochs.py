"""How long an epoch is at least."""

from __future__ import annotations

from ..data import BatchSource, Repeated

_FEWEST_BATCHES = 32


def repeated(source: BatchSource) -> Repeated:
    """As many passes over a small source as an epoch of 32 batches takes, for an epoch to be worth a validation.

    Example:
        >>> import numpy as np
        >>> from throughtime.data import Sequences, shifted
        >>> len(repeated(Sequences([shifted(np.arange(4))] * 5, batch_size=1)))
        35
    """
    return Repeated(source, -(-_FEWEST_BATCHES // len(source)))
