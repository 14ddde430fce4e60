"""The kernels among threads, after a fork, and after an interruption."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest
import torch

from throughtime.nn import GRU
from throughtime.ops import native
from throughtime.ops._library import threads
from throughtime.ops._pool import POOL

pytestmark = pytest.mark.usefixtures("kernels")


def test_two_threads_at_once(draw):
    problems = [draw(kind, 40, 50, 3, 40, seed=seed) for seed, kind in enumerate(("gru", "lstm"))]
    wanted = [problem.everything(native.recurrence) for problem in problems]
    faults = []

    def work(problem, expected):
        for _ in range(20):
            if not all(map(torch.equal, problem.everything(native.recurrence), expected)):
                faults.append(problem.kind)

    workers = [threading.Thread(target=work, args=pair) for pair in zip(problems, wanted, strict=True)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not faults


def test_a_gradient_may_be_computed_in_another_thread(draw):
    problem = draw("gru", 40, 50, 3, 40)
    wanted = problem.everything(native.recurrence)[2:]
    variables = [variable.clone().requires_grad_() for variable in problem.variables]
    results = problem.results(native.recurrence, *variables)
    found = []
    other = threading.Thread(target=lambda: found.extend(torch.autograd.grad(results, variables, problem.cotangents)))
    other.start()
    other.join()
    assert all(map(torch.equal, found, wanted))


@pytest.mark.usefixtures("two_threads")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded, use of fork:DeprecationWarning")
def test_after_a_fork_the_child_runs_by_itself(draw):
    problem = draw("gru", 100, 64, 16, 64)
    wanted = problem.everything(native.recurrence)  # torch's threads, which are the kernels' too, are there now
    variables = [variable.clone().requires_grad_() for variable in problem.variables]
    child = os.fork()
    if child == 0:  # whatever happens in here, the child must not return into pytest
        signal.alarm(30)
        try:
            results = problem.results(native.recurrence, *variables)
            found = [*results, *torch.autograd.grad(results, variables, problem.cotangents)]
            # torch's own comparison would wait for threads that the child does not have.
            same = [(a.detach().numpy() == b.numpy()).all() for a, b in zip(found, wanted, strict=True)]
            os._exit(0 if threads() == 1 and all(same) else 1)
        finally:
            os._exit(2)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert threads() == 2


def test_an_interruption_between_forward_and_backward_leaves_everything_sound(draw):
    problem = draw("gru", 40, 50, 3, 40)
    wanted = problem.everything(native.recurrence)
    POOL.clear()

    def interrupted():
        variables = [variable.clone().requires_grad_() for variable in problem.variables]
        results = problem.results(native.recurrence, *variables)
        raise KeyboardInterrupt(len(results))

    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            interrupted()
    idle = POOL.idle
    assert idle > 0
    for _ in range(3):
        assert all(map(torch.equal, problem.everything(native.recurrence), wanted))
    assert POOL.idle <= 2 * idle


def test_a_signal_in_the_midst_of_a_kernel_leaves_everything_sound(draw):
    problem = draw("gru", 40, 50, 3, 40)
    wanted = problem.everything(native.recurrence)
    POOL.clear()
    long = draw("gru", 2000, 32, 32, 128)
    struck, begun = [], []

    def interrupt(*_):
        struck.append(time.perf_counter())
        raise KeyboardInterrupt

    def run_until_struck():
        timer.start()
        while True:  # one call is longer than the timer; another begins should it end first
            native.recurrence("gru", long.x, long.state[0], *long.weights)

    before = signal.signal(signal.SIGINT, interrupt)
    timer = threading.Timer(0.02, lambda: (begun.append(time.perf_counter()), signal.raise_signal(signal.SIGINT)))
    try:
        with pytest.raises(KeyboardInterrupt):
            run_until_struck()
    finally:
        timer.join()
        signal.signal(signal.SIGINT, before)
    assert len(begun) == len(struck) == 1
    idle = POOL.idle
    for _ in range(3):
        assert all(map(torch.equal, problem.everything(native.recurrence), wanted))
    assert POOL.idle <= idle + (64 << 20)


def test_layers_train_in_a_thread_while_another_infers():
    torch.manual_seed(0)
    layer, x = GRU(3, 32, num_layers=2), torch.randn(30, 40, 3)
    with torch.no_grad():
        wanted = layer(x)[0]
    stop, faults = threading.Event(), []

    def infer():
        while not stop.is_set():
            with torch.no_grad():
                if not torch.equal(layer(x)[0], wanted):
                    faults.append(1)

    other = threading.Thread(target=infer)
    other.start()
    gradients = [torch.autograd.grad(layer(x)[0].sum(), list(layer.parameters())) for _ in range(10)]
    stop.set()
    other.join()
    assert not faults
    assert all(torch.equal(a, b) for found in gradients[1:] for a, b in zip(found, gradients[0], strict=True))
