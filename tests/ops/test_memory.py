from __future__ import annotations

from throughtime.ops import release_memory
from throughtime.ops._pool import POOL


def test_idle_buffers_are_given_back_and_used_ones_are_not():
    release_memory()
    used, freed = POOL.take(1 << 21), POOL.take(1 << 22)
    used.fill_(7)
    del freed
    assert release_memory() == POOL.take(1 << 22).numel()
    assert (used == 7).all()
    release_memory()
    assert release_memory() == 0
