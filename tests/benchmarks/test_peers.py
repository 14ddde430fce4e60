"""What is compared computes the same numbers: each peer against torch.nn, at a tiny shape, in a process of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import cache
from importlib.util import find_spec

import numpy as np
import pytest
from _case import GATES, Case
from _peers import Unsupported
from _worker import PeerError, Worker, digest, disagreement

NEEDS = {"JAX": ("jax",), "Keras": ("keras", "jax"), "ONNX Runtime": ("onnxruntime", "onnx")}
CASE = Case("gru", time=7, batch=3, input=4, hidden=5)


SLOW = [pytest.param(peer, marks=pytest.mark.slow) for peer in ("JAX", "Keras")]
Workers = Callable[[str], Worker]


@pytest.fixture(scope="module")
def worker() -> Iterator[Workers]:
    """The worker of a peer, started when it is first asked for."""
    with ExitStack() as stack:

        @cache
        def start(peer: str) -> Worker:
            if not all(find_spec(module) for module in NEEDS.get(peer, ())):
                pytest.skip(f"{peer} is not installed")
            return stack.enter_context(Worker(peer, 1))

        yield start


def results(worker: Worker, case: Case) -> dict[str, np.ndarray]:
    worker.prepare(case)
    return worker.results(case)


def by_hand(case: Case) -> np.ndarray:
    """The output in double precision, sequence after sequence, for as long as each is."""
    weights = {name: value.astype(np.float64) for name, value in case.weights().items()}
    output = np.zeros((case.time, case.batch, case.hidden))

    def logistic(x):
        return 1 / (1 + np.exp(-x))

    for sequence, length in enumerate(case.lengths() if case.ragged else [case.time] * case.batch):
        h, memory = np.zeros(case.hidden), np.zeros(case.hidden)
        for step in range(length):
            from_x = weights["weight_ih"] @ case.inputs()[step, sequence] + weights["bias_ih"]
            from_h = weights["weight_hh"] @ h + weights["bias_hh"]
            a, b = np.split(from_x, GATES[case.kind]), np.split(from_h, GATES[case.kind])
            if case.kind == "rnn":
                h = np.tanh(from_x + from_h)
            elif case.kind == "gru":
                reset, update = logistic(a[0] + b[0]), logistic(a[1] + b[1])
                h = (1 - update) * np.tanh(a[2] + reset * b[2]) + update * h
            else:
                memory = logistic(a[1] + b[1]) * memory + logistic(a[0] + b[0]) * np.tanh(a[2] + b[2])
                h = logistic(a[3] + b[3]) * np.tanh(memory)
            output[step, sequence] = h
    return output


@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize("kind", GATES)
def test_the_one_that_all_are_compared_to_is_right(worker: Workers, kind: str, ragged: bool):
    case = replace(CASE, kind=kind, ragged=ragged)
    np.testing.assert_allclose(results(worker("torch.nn"), case)["output"], by_hand(case), atol=1e-6)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("kind", GATES)
@pytest.mark.parametrize("peer", ["throughtime", "ONNX Runtime", *SLOW])
def test_peers_compute_the_numbers_of_torch(worker: Workers, peer: str, kind: str, training: bool):
    case = replace(CASE, kind=kind, training=training)
    expected = results(worker("torch.nn"), case)
    try:
        found = results(worker(peer), case)
    except Unsupported:
        assert (peer, training) == ("ONNX Runtime", True)
        return
    one_bias = peer == "Keras" and kind != "gru" and training
    assert found.keys() == expected.keys() - ({"bias_hh"} if one_bias else set())
    for name, value in found.items():
        np.testing.assert_allclose(value, expected[name], atol=1e-5, err_msg=name)


@pytest.mark.parametrize("kind", GATES)
def test_ragged_batches_have_the_gradients_of_the_packed_path(worker: Workers, kind: str):
    case = replace(CASE, kind=kind, ragged=True)
    expected, found = results(worker("torch.nn"), case), results(worker("throughtime"), case)
    for name, value in found.items():
        np.testing.assert_allclose(value, expected[name], atol=1e-5, err_msg=name)


def test_something_is_timed(worker: Workers):
    worker("torch.nn").prepare(CASE)
    assert worker("torch.nn").measure(CASE, 0.001) > 0


def test_a_peer_that_fails_says_why(worker: Workers):
    with pytest.raises(PeerError, match=r"^torch\.nn: .*must be > 0|greater than zero"):
        worker("torch.nn").prepare(replace(CASE, hidden=0))


def test_errors_are_relative_to_the_largest_number(worker: Workers):
    half = replace(CASE, precision="bfloat16")
    exact, rounded = results(worker("torch.nn"), CASE), results(worker("torch.nn"), half)
    found = worker("torch.nn").errors(half, CASE)
    assert found.keys() == exact.keys()
    for name, error in found.items():
        assert error == pytest.approx(np.abs(rounded[name] - exact[name]).max() / np.abs(exact[name]).max(), rel=1e-3)
    assert max(found.values()) > 0


def test_cases_are_kept_until_they_are_forgotten(worker: Workers):
    worker("torch.nn").prepare(CASE)
    worker("torch.nn").prepare(replace(CASE, batch=2))
    assert worker("torch.nn").results(CASE)["output"].shape[1] == 3
    worker("torch.nn").forget()
    with pytest.raises(PeerError, match=r"^torch\.nn: KeyError"):
        worker("torch.nn").results(CASE)


def test_other_numbers_are_noticed():
    ours = {"x": np.arange(6.0).reshape(2, 3)}
    assert disagreement(digest(ours), digest({"x": ours["x"] * (1 + 1e-6)})) < 1e-5
    assert disagreement(digest(ours), digest({"x": ours["x"][:, ::-1]})) > 0.01


def test_operations_are_counted_where_steps_are_real():
    assert CASE.operations == 3 * 2 * 7 * 3 * (4 + 5) * 3 * 5
    assert replace(CASE, training=False).operations * 3 == CASE.operations
    ragged = replace(CASE, ragged=True)
    assert ragged.lengths().max() == 7
    assert ragged.operations * CASE.valid_steps == CASE.operations * ragged.lengths().sum()
