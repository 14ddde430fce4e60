"""Memory that the kernels keep for the next call, given back."""

from __future__ import annotations

from ._pool import POOL


def release_memory() -> int:
    """Give back the buffers that the kernels keep for the next call of the same sizes.

    What tensors still use, as what a backward to come will read, is not touched. Later calls take their memory anew,
    which is all they lose.

    Returns:
        How many bytes these were; at most 1 GiB is ever kept.

    Example:
        >>> freed = release_memory()
        >>> release_memory()
        0
    """
    idle = POOL.idle
    POOL.clear()
    return idle
