from __future__ import annotations

import gc
import io
import threading
from copy import deepcopy

import pytest
import torch

from throughtime.ops._pool import Pool

MEGABYTE = 1 << 20


def test_buffers_are_used_again_when_their_tensors_are_gone():
    pool = Pool(limit=64 * MEGABYTE)
    first, second = pool.take(2 * MEGABYTE), pool.take(2 * MEGABYTE)
    assert first.data_ptr() != second.data_ptr()
    address = first.data_ptr()
    view = first[10:20].view(torch.uint8)
    del first
    assert pool.idle == 0  # a view of it is still there
    del view
    assert pool.idle == 2 * MEGABYTE
    assert pool.take(2 * MEGABYTE).data_ptr() == address
    assert pool.take(3 * MEGABYTE).data_ptr() != address


@pytest.mark.parametrize("size", [0, 1, 1000, MEGABYTE - 1, MEGABYTE, MEGABYTE + 1, 3 * MEGABYTE + 77, 50_000_001])
def test_sizes_are_exact_and_aligned(size):
    taken = Pool(limit=64 * MEGABYTE).take(size)
    assert taken.shape == (size,)
    assert taken.dtype == torch.uint8
    assert taken.data_ptr() % 64 == 0
    taken.fill_(1)
    assert taken.sum() == size


@pytest.mark.parametrize("rows", [0, 3, 1000])
def test_numbers_are_tensors_like_any_other(rows):
    pool = Pool(limit=64 * MEGABYTE)
    taken = pool.numbers(rows, 7, 100)
    assert taken.shape == (rows, 7, 100)
    assert taken.dtype == torch.float32
    assert taken.is_contiguous()
    assert not taken._is_view()
    copies = taken.normal_().clone(), deepcopy(taken), torch.from_numpy(taken.numpy().copy()), pickled(taken)
    assert all(torch.equal(copy, taken) for copy in copies)
    address = taken.data_ptr()
    part = taken[1:]
    del taken
    assert pool.idle == 0
    del part
    assert rows < 1000 or pool.numbers(rows, 7, 100).data_ptr() == address


def pickled(tensor):
    """What `torch.save` makes of it."""
    file = io.BytesIO()
    torch.save(tensor, file)
    file.seek(0)
    return torch.load(file)


def test_nearly_equal_sizes_share():
    pool = Pool(limit=64 * MEGABYTE)
    address = pool.take(10 * MEGABYTE - 5).data_ptr()
    assert pool.take(10 * MEGABYTE).data_ptr() == address
    assert pool.take(9 * MEGABYTE + 1).data_ptr() == address
    assert pool.take(7 * MEGABYTE).data_ptr() != address


def test_what_lies_idle_is_bounded_and_the_oldest_go():
    pool = Pool(limit=5 * MEGABYTE)
    taken = [pool.take(size * MEGABYTE) for size in (1, 2, 2, 2, 8)]
    addresses = [part.data_ptr() for part in taken]
    while taken:
        taken.pop(0)
        assert pool.idle <= 5 * MEGABYTE
    assert pool.idle == 0  # the last is larger than all that may lie idle, and the others are older
    taken = [pool.take(2 * MEGABYTE) for _ in range(3)]
    addresses = [part.data_ptr() for part in taken]
    while taken:
        taken.pop(0)
    assert {pool.take(2 * MEGABYTE).data_ptr()} <= set(addresses[1:])


def test_clear():
    pool = Pool(limit=64 * MEGABYTE)
    taken = pool.take(4 * MEGABYTE)
    pool.take(8 * MEGABYTE)
    assert pool.idle == 8 * MEGABYTE
    pool.clear()
    assert pool.idle == 0
    del taken
    assert pool.idle == 4 * MEGABYTE


def resident():
    """Bytes of anonymous memory that this process holds."""
    with open("/proc/self/status", encoding="utf-8") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("RssAnon"))


def test_nothing_leaks():
    pool = Pool(limit=8 * MEGABYTE)
    pool.take(32 * MEGABYTE).fill_(1)
    gc.collect()
    before = resident()
    for size in range(20, 60):
        pool.take(size * MEGABYTE).fill_(1)
    gc.collect()
    assert resident() - before < 16 * MEGABYTE


def test_cycles_give_back_too():
    pool = Pool(limit=64 * MEGABYTE)
    cycle = [pool.take(2 * MEGABYTE)]
    cycle.append(cycle)
    del cycle
    gc.collect()
    assert pool.idle == 2 * MEGABYTE


def test_a_buffer_that_returns_while_the_lock_is_held_does_not_wait():
    pool = Pool(limit=3 * MEGABYTE)
    first, second = pool.take(2 * MEGABYTE), pool.take(2 * MEGABYTE)
    with pool._lock:  # as when the garbage collector runs inside `take`
        del first, second
    pool.take(5 * MEGABYTE)
    assert pool.idle <= 3 * MEGABYTE


def test_many_threads():
    pool, faults = Pool(limit=16 * MEGABYTE), []

    def work(number):
        generator = torch.Generator().manual_seed(number)
        for _ in range(200):
            size = MEGABYTE + int(torch.randint(0, 3, (1,), generator=generator)) * MEGABYTE
            taken = pool.take(size)
            taken[:: 1 << 16] = number
            if not (taken[:: 1 << 16] == number).all():
                faults.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults
    assert pool.idle <= 16 * MEGABYTE
