"""Layers packed once: the numbers of whole calls, in memory of their own, among threads, forks and autograd."""

from __future__ import annotations

import os
import signal
import tracemalloc
from copy import deepcopy

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from throughtime._errors import ShapeError
from throughtime.ops import KINDS, PackedLayers, native, packed

pytestmark = pytest.mark.usefixtures("kernels")

FORKING = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded, use of fork:DeprecationWarning")


@pytest.fixture(params=[1, 2])
def any_threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def poisoned(monkeypatch):
    """Give out memory full of what is no number, so that whatever is read before it is written shows."""

    class Poison:
        def take(self, size):
            return torch.full((size,), 255, dtype=torch.uint8)

        def numbers(self, *shape):
            return torch.full(shape, float("nan"))

    empty = torch.empty
    monkeypatch.setattr(packed, "POOL", Poison())
    monkeypatch.setattr(packed, "_empty", lambda *shape: empty(shape).fill_(float("nan")))


@pytest.fixture
def stack(draw):
    """Weights of several layers, each fed by the one below."""

    def make(kind, hidden, layers=2, inputs=3):
        return [draw(kind, 1, 1, inputs if n == 0 else hidden, hidden, seed=n).weights for n in range(layers)]

    return make


def whole(kind, x, weights, h, c):
    """The outputs of the last layer, and the states, by a call of the kernels for each layer."""
    ends = []
    for index, own in enumerate(weights):
        x, end = native.recurrence(kind, x, h[index] if c is None else (h[index], c[index]), *own)
        ends.append((end,) if c is None else end)
    return x, [torch.stack(parts) for parts in zip(*ends, strict=True)]


@pytest.mark.usefixtures("any_threads", "poisoned")
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize(("hidden", "layers"), [(17, 1), (17, 2), (130, 3), (600, 2)])
@pytest.mark.parametrize("kind", KINDS)
def test_the_same_bits_as_whole_calls(kind, layers, hidden, batch, stack):
    weights = stack(kind, hidden, layers)
    mine = PackedLayers(kind, weights, batch)
    assert not mine.h.any()
    parts = [mine.h] if mine.c is None else [mine.h, mine.c]
    for part in parts:
        part.normal_()
    x = torch.randn(60, batch, 3)
    with torch.no_grad():
        wanted, ends = whole(kind, x, weights, mine.h.clone(), None if mine.c is None else mine.c.clone())
    found = [torch.stack([mine.step(row).clone() for row in x[:20]])]
    found += [mine.run(x[20:50].transpose(0, 1).contiguous().transpose(0, 1)), mine.run(x[:0])]
    found += [mine.step(row).clone()[None] for row in x[50:]]
    assert torch.equal(torch.cat(found), wanted)
    assert all(map(torch.equal, parts, ends))


class Operations(TorchDispatchMode):
    """Every operation of torch's, so every tensor that it could allocate."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.seen.append(func)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_allocates_nothing(kind, stack):
    mine, x = PackedLayers(kind, stack(kind, 64), 4), torch.randn(4, 3)
    address = mine.step(x).data_ptr()
    with Operations() as operations:
        for _ in range(10):
            assert mine.step(x).data_ptr() == address
    assert operations.seen == []
    tracemalloc.start()
    try:
        for _ in range(100):  # what Python itself keeps of code that it meets again and again
            mine.step(x)
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        for _ in range(1000):
            mine.step(x)
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 256, "nothing is kept"
    assert peak - before < 2048, "at no time is there more than Python's own numbers and frames"


@FORKING
@pytest.mark.usefixtures("two_threads")
def test_after_a_fork_the_child_goes_on_by_itself(stack):
    weights, x = stack("gru", 512, 1, 64), torch.randn(2, 16, 64)  # large enough for a team at each step
    mine, other = PackedLayers("gru", weights, 16), PackedLayers("gru", weights, 16)
    wanted = [other.step(row).numpy().tobytes() for row in x]  # the threads of this process are there now
    child = os.fork()
    if child == 0:  # whatever happens in here, the child must not return into pytest
        signal.alarm(30)
        try:
            found = [mine.step(row).numpy().tobytes() for row in x]
            os._exit(0 if found == wanted else 1)
        finally:
            os._exit(2)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


@pytest.mark.usefixtures("two_threads")
def test_a_step_follows_the_number_of_threads(stack):
    mine, x = PackedLayers("gru", stack("gru", 17)), torch.randn(1, 3)
    taken = []
    for count in (2, 1, 2):
        torch.set_num_threads(count)
        mine.step(x)
        taken.append(mine._calls[0].threads)
    assert taken == [2, 1, 2]


@pytest.mark.parametrize("kind", KINDS)
def test_a_deep_copy_goes_its_own_way(kind, stack):
    mine, x = PackedLayers(kind, stack(kind, 17, 2)), torch.randn(6, 1, 3)
    mine.run(x[:2])
    other = deepcopy(mine)
    found = [[layers.step(row).clone() for row in x[2:]] for layers in (mine, other)]
    assert all(map(torch.equal, *found))
    assert not torch.equal(found[0][0], found[0][1])


def test_a_backward_through_memory_that_has_changed_is_refused(stack):
    mine, x = PackedLayers("lstm", stack("lstm", 5)), torch.randn(4, 1, 3)
    assert mine.c is not None
    factor = torch.ones(5, requires_grad=True)
    cases = [(lambda: mine.step(x[0]), lambda: mine.step(x[1]))]
    states, feeds = (mine.h, mine.c), (cases[0][1], lambda: mine.run(x))
    cases += [(lambda state=state: state, feed) for state in states for feed in feeds]
    for read, feed in cases:
        loss = (read() * factor).sum()
        feed()
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            loss.backward()
    (mine.step(x[0]).clone() * factor).sum().backward()


def test_whatever_the_defaults_of_torch(stack):
    weights, x = stack("lstm", 17), torch.randn(5, 2, 3)
    wanted = PackedLayers("lstm", weights, 2).run(x)
    torch.set_default_dtype(torch.float64)
    try:
        with torch.device("meta"):
            mine = PackedLayers("lstm", weights, 2)
            stepped = [mine.step(row) for row in x[:1]]
            found = mine.run(x[1:])
    finally:
        torch.set_default_dtype(torch.float32)
    assert torch.equal(stepped[0], wanted[0])
    assert torch.equal(found, wanted[1:])


def test_made_in_inference_and_used_outside_of_it(stack):
    with torch.inference_mode():
        mine = PackedLayers("lstm", stack("lstm", 17))
        mine.step(torch.zeros(1, 3))
    mine.h.zero_()
    assert not any(part.is_inference() for part in (mine.step(torch.zeros(1, 3)), *mine._changed))


def test_python_and_so_an_interruption_comes_before_or_after_all_layers(stack, monkeypatch):
    mine, counts = PackedLayers("gru", stack("gru", 17, 3)), []
    forward = mine._forward
    monkeypatch.setattr(mine, "_forward", lambda calls, count: counts.append(count) or forward(calls, count))
    mine.run(torch.randn(5, 1, 3))
    mine.step(torch.randn(1, 3))
    assert counts == [3, 3]


def test_other_shapes_are_refused(stack):
    mine = PackedLayers("gru", stack("gru", 5), 2)
    with pytest.raises(ShapeError, match=r"step got \[1, 3\], expected \[2, 3\], \[batch, input\]"):
        mine.step(torch.zeros(1, 3))
    with pytest.raises(ShapeError, match=r"run got \[2, 3\], expected \[time, 2, 3\]"):
        mine.run(torch.zeros(2, 3))
    with pytest.raises(ShapeError, match="weight_ih"):
        PackedLayers("lstm", stack("gru", 5))
