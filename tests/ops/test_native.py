"""The kernels against the equations: values, gradients, strides, marks, memory, and refusals."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch
from torch import nn

from throughtime._errors import ConfigurationError, ShapeError, ThroughtimeError, UnsupportedError
from throughtime.nn import GRU
from throughtime.ops import KINDS, _kernels, native, reference
from throughtime.ops._kernels import Marks, Operands, Setting
from throughtime.ops._pool import POOL

pytestmark = pytest.mark.usefixtures("kernels")

EPSILON = torch.finfo(torch.float32).eps
SIZES = [
    (1, 1, 1, 1),
    (3, 15, 17, 1),
    (15, 3, 1, 17),
    (17, 1, 63, 15),
    (1, 300, 3, 16),
    (2, 3, 300, 63),
    (63, 17, 15, 3),
    (3, 2, 16, 300),
    (300, 1, 1, 15),
]


def torchs(kind, x, state, *weights):
    """torch's own layer under the arguments of `recurrence`."""
    name, options = {"gru": ("GRU", {}), "lstm": ("LSTM", {})}.get(kind, ("RNN", {"nonlinearity": kind[4:]}))
    layer = getattr(nn, name)(x.shape[2], weights[1].shape[1], device="meta", **options)
    named = dict(zip(("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"), weights, strict=True))
    before = tuple(part[None] for part in state) if kind == "lstm" else state[None]
    output, after = torch.func.functional_call(layer, named, (x, before))
    return output, tuple(part[0] for part in after) if kind == "lstm" else after[0]


def compare(found, peers, truths):
    """The design's rule: at most twice the peer's error, and four roundings of the greatest value."""
    for own, peer, truth in zip(found, peers, truths, strict=True):
        allowed = 2 * (peer - truth).abs().max() + 4 * EPSILON * max(1.0, truth.abs().max())
        assert (own - truth).abs().max() <= allowed


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_as_accurate_as_torch(kind, size, instructions, draw):
    problem = draw(kind, *size)
    found = problem.everything(partial(native.recurrence, instructions=instructions))
    compare(found, problem.everything(torchs), problem.everything(reference.recurrence, torch.float64))


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_lengths_and_resets(kind, reverse, instructions, draw):
    problem = draw(kind, 9, 5, 3, 17)
    problem.x[7:, 0] = float("nan")
    marks = {"lengths": torch.tensor([7, 0, 9, 1, 4]), "resets": torch.rand(9, 5) < 0.3, "reverse": reverse}
    found = problem.everything(partial(native.recurrence, instructions=instructions), **marks)
    peers = problem.everything(reference.recurrence, **marks)
    compare(found, peers, problem.everything(reference.recurrence, torch.float64, **marks))
    assert not found[0][7:, 0].any()
    assert torch.equal(found[1][1], problem.state[0][1])


@pytest.mark.parametrize("kind", KINDS)
def test_any_strides(kind, draw):
    problem = draw(kind, 6, 5, 4, 7)
    whole = problem.everything(native.recurrence)

    def spread(tensor):
        """The same values, no two of them adjacent, and not at a multiple of 64 bytes."""
        wide = tensor.new_full((*tensor.shape, 3), float("nan"))
        wide[..., 1] = tensor
        return wide[..., 1]

    def run(kind, x, state, *weights):
        turned = spread(x.transpose(0, 2).contiguous()).transpose(0, 2)
        state = tuple(spread(part.mT.contiguous()).mT for part in state) if kind == "lstm" else spread(state)
        return native.recurrence(kind, turned, state, *(spread(weight) for weight in weights))

    problem.cotangents = tuple(spread(part) for part in problem.cotangents)
    assert all(map(torch.equal, problem.everything(run), whole))
    x, h = torch.randn(1, 1, 4).expand(6, 5, 4), torch.randn(1, 7).expand(5, 7)
    state = (h, h) if kind == "lstm" else h
    close = native.recurrence(kind, x.contiguous(), state, *problem.weights)[0]
    assert torch.equal(native.recurrence(kind, x, state, *problem.weights)[0], close)


@pytest.mark.parametrize("kind", KINDS)
def test_numbers_that_stand_for_their_negatives(kind, draw):
    """As torch notes of the imaginary part of a conjugate, instead of writing it anew."""
    problem = draw(kind)
    whole = problem.everything(native.recurrence)

    def noted(tensor):
        imaginary = torch.complex(torch.zeros_like(tensor), -tensor).conj().imag
        assert imaginary.is_neg()
        return imaginary

    def run(kind, x, state, *weights):
        state = tuple(map(noted, state)) if kind == "lstm" else noted(state)
        return native.recurrence(kind, noted(x), state, *map(noted, weights))

    problem.cotangents = tuple(map(noted, problem.cotangents))
    assert all(map(torch.equal, problem.everything(run), whole))
    lengths = torch.tensor([7, 1, 3, 5])
    wanted = native.recurrence(kind, problem.x, None, *problem.weights, lengths=lengths)[0]
    found = native.recurrence(kind, problem.x, None, *problem.weights, lengths=torch._neg_view(-lengths))[0]
    assert torch.equal(found, wanted)


@pytest.mark.parametrize("default", [{"dtype": torch.float64}, {"device": "meta"}], ids=str)
@pytest.mark.parametrize("size", [(7, 4, 3, 5), (40, 50, 3, 40)], ids=str)  # within torch's allocator, and the pool
def test_torchs_defaults_change_nothing(size, default, draw):
    problem = draw("gru", *size)
    wanted = problem.everything(native.recurrence)
    gates = native.trace("gru", problem.x, *problem.variables[1:])
    dtype = torch.get_default_dtype()
    try:
        torch.set_default_dtype(default.get("dtype", dtype))
        with torch.device(default.get("device", "cpu")):
            found = problem.everything(native.recurrence)
            again = native.trace("gru", problem.x, *problem.variables[1:])
    finally:
        torch.set_default_dtype(dtype)
    assert all(map(torch.equal, found, wanted))
    assert all(torch.equal(again[name], gate) for name, gate in gates.items())


@pytest.mark.parametrize("kind", KINDS)
def test_without_state_and_bias(kind, draw):
    problem = draw(kind)
    weights = problem.weights[:2]
    zeros = tuple(torch.zeros_like(part) for part in problem.state)
    bias = torch.zeros(len(weights[0]))
    wanted = native.recurrence(kind, problem.x, zeros if kind == "lstm" else zeros[0], *weights, bias, bias)[0]
    assert torch.equal(native.recurrence(kind, problem.x, None, *weights)[0], wanted)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_numbers_for_any_number_of_threads(kind, draw):
    problem = draw(kind, 20, 37, 15, 33)
    threads = torch.get_num_threads()
    found = []
    try:
        for count in (1, 2, 3, 8):
            torch.set_num_threads(count)
            found.append(problem.everything(native.recurrence))
    finally:
        torch.set_num_threads(threads)
    for other in found[1:]:
        assert all(map(torch.equal, other, found[0]))


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_written_is_not_read(kind, draw, monkeypatch):
    problem = draw(kind, 9, 5, 3, 17)
    marks = {"lengths": torch.tensor([7, 0, 9, 1, 4]), "resets": torch.rand(9, 5) < 0.3}
    clean = problem.everything(native.recurrence, **marks)
    take = POOL.take
    monkeypatch.setattr(POOL, "take", lambda size: take(size).fill_(255))  # NaN in any float
    torch.use_deterministic_algorithms(True)  # fills what torch.empty gives with NaN
    try:
        assert torch.empty(1).isnan()
        poisoned = problem.everything(native.recurrence, **marks)
    finally:
        torch.use_deterministic_algorithms(False)
    assert all(map(torch.equal, poisoned, clean))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e-40, 3e38], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_odd_numbers_come_out_as_torchs(kind, value, instructions, draw):
    problem = draw(kind, 4, 3, 5, 17)
    problem.x[1, 2, 3] = value
    problem.state[0][0, 1] = value
    found, wanted = (
        problem.results(run, *problem.variables)
        for run in (partial(native.recurrence, instructions=instructions), torchs)
    )
    for own, theirs in zip(found, wanted, strict=True):
        torch.testing.assert_close(own, theirs, equal_nan=True, rtol=1e-4, atol=1e-5)


def test_subnormals_are_kept(instructions):
    one, zero = torch.ones(1, 1), torch.zeros(1, 1)
    tiny = torch.full((1, 1, 1), 1e-40)
    output, h = native.recurrence("rnn_relu", tiny, zero, one, one, instructions=instructions)
    assert output.item() == h.item() == tiny.item() > 0


@pytest.mark.parametrize("size", [(0, 3), (5, 0), (0, 0)], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_no_steps_or_no_sequences(kind, size, draw):
    problem = draw(kind, *size)
    found, parts = problem.everything(native.recurrence), len(problem.state)
    assert found[0].shape == (*size, 5)
    assert all(map(torch.equal, found[1 : 1 + parts], problem.state))
    gradients = found[1 + parts :]
    d_states = problem.cotangents[1:] if size[0] == 0 else tuple(map(torch.zeros_like, problem.state))
    assert all(map(torch.equal, gradients[1 : 1 + len(d_states)], d_states))
    assert not any(gradient.any() for gradient in (gradients[0], *gradients[1 + len(d_states) :]))


def test_only_the_gradients_needed_are_computed(draw, monkeypatch):
    problem = draw("lstm")
    asked = []
    run = native.run_backward
    monkeypatch.setattr(native, "run_backward", lambda *arguments: asked.append(arguments[-1]) or run(*arguments))
    x, (h, c), weights = problem.x, problem.state, problem.weights
    bias = weights[2].clone().requires_grad_()
    output, _ = native.recurrence("lstm", x, (h, c), *weights[:2], bias, weights[3])
    output.sum().backward()
    assert tuple(map(bool, asked[0])) == (False, False, False, False, False, True, False)
    problem.cotangents = (torch.ones_like(output), torch.zeros_like(h), torch.zeros_like(c))
    whole = problem.everything(native.recurrence)
    assert torch.equal(output, whole[0])
    assert torch.equal(bias.grad, whole[3 + 5])


def test_inference_saves_nothing(draw, monkeypatch):
    problem = draw("gru")
    kept = []
    run = native.run_forward
    monkeypatch.setattr(native, "run_forward", lambda *given, keep: kept.append(keep) or run(*given, keep=keep))
    weights = [weight.clone().requires_grad_() for weight in problem.weights]
    with torch.no_grad():
        first = native.recurrence("gru", problem.x, problem.state[0], *weights)[0]
    second = native.recurrence("gru", problem.x, problem.state[0], *problem.weights)[0]
    third = native.recurrence("gru", problem.x, problem.state[0], *weights)[0]
    assert kept == [False, False, True]
    assert torch.equal(first, second)
    assert torch.equal(first, third)
    assert [part.requires_grad for part in (first, second, third)] == [False, False, True]


@pytest.mark.parametrize("kind", KINDS)
def test_trace_names_the_gates(kind, draw):
    problem = draw(kind, 5, 3, 4, 6)
    lengths = torch.tensor([5, 2, 4])
    state = problem.state if kind == "lstm" else problem.state[0]
    found = native.trace(kind, problem.x, state, *problem.weights, lengths=lengths)
    output = native.recurrence(kind, problem.x, state, *problem.weights, lengths=lengths)[0]
    valid = (torch.arange(5)[:, None] < lengths)[..., None]
    assert all(part.shape == output.shape and not part.masked_fill(valid, 0).any() for part in found.values())
    before = torch.cat([problem.state[0][None], output[:-1]])
    if kind == "gru":
        assert list(found) == ["reset", "update", "new", "recurrent"]
        rebuilt = (1 - found["update"]) * found["new"] + found["update"] * before
        recurrent = before @ problem.weights[1][12:].T + problem.weights[3][12:]
        torch.testing.assert_close(found["recurrent"], (recurrent * valid))
        reset = problem.x @ problem.weights[0][:6].T + before @ problem.weights[1][:6].T
        reset = torch.sigmoid(reset + problem.weights[2][:6] + problem.weights[3][:6])
        torch.testing.assert_close(found["reset"], reset * valid)
    elif kind == "lstm":
        assert list(found) == ["input", "forget", "cell", "output", "memory"]
        memories = torch.cat([problem.state[1][None], found["memory"][:-1]])
        memory = found["forget"] * memories + found["input"] * found["cell"]
        torch.testing.assert_close(found["memory"], memory * valid)
        rebuilt = found["output"] * torch.tanh(found["memory"])
    else:
        assert found == {}
        return
    torch.testing.assert_close(rebuilt * valid, output)


def test_bfloat16_products(kernels, draw):
    if "avx512_bf16" not in kernels.sets:
        pytest.skip("this machine has no avx512_bf16")
    for kind in KINDS:
        problem = draw(kind, 9, 4, 15, 33)
        exact = problem.everything(reference.recurrence, torch.float64)
        rough = problem.everything(native.recurrence, torch.bfloat16)
        assert all(part.dtype == torch.bfloat16 for part in rough)
        for own, truth in zip(rough, exact, strict=True):
            error = (own - truth).norm() / truth.norm()
            assert error < 0.02, kind


def test_autocast_to_float16_or_of_float64_is_refused(draw):
    problem = draw("gru")
    x, (h,), weights = problem.x, problem.state, problem.weights
    with torch.autocast("cpu", torch.float16), pytest.raises(UnsupportedError, match=r"no autocast to torch.float16"):
        native.recurrence("gru", x, h, *weights)
    with torch.autocast("cpu", torch.bfloat16), pytest.raises(UnsupportedError, match=r"x is torch.float64 on cpu"):
        native.recurrence("gru", x.double(), h.double(), *(weight.double() for weight in weights))
    with torch.autocast("cpu", torch.bfloat16):
        layer = GRU(3, 5, dtype=torch.float64)
        assert layer.choice(x.double()).backend == "torch"
        assert layer(x.double())[0].dtype == torch.float64


def test_what_the_kernels_lack_is_refused_in_words(draw):
    problem = draw("gru")
    x, (h,), weights = problem.x, problem.state, problem.weights
    with pytest.raises(UnsupportedError, match=r"float32 on the CPU; x is torch.float64 on cpu: use another backend"):
        native.recurrence("gru", x.double(), h, *weights)
    with pytest.raises(UnsupportedError, match=r"weight_hh is torch.float32 on meta"):
        native.recurrence("gru", x, h, weights[0], weights[1].to("meta"), *weights[2:])
    with pytest.raises(ShapeError, match=r"gru got weight_ih \[15, 2\], expected \[15, 3\]"):
        native.recurrence("gru", x, h, weights[0][:, :2], *weights[1:])
    with pytest.raises(ShapeError, match=r"gru got h0 \[3, 5\], expected \[4, 5\]"):
        native.recurrence("gru", x, h[:3], *weights)
    operands = Operands(x, h, None, *weights)
    with pytest.raises(ShapeError, match=r"resets \[7, 4\] of torch.float32, expected bool \[7, 4\]"):
        _kernels.run_forward(Setting("gru"), operands, Marks(None, torch.zeros(7, 4)), keep=False)
    with pytest.raises(ShapeError, match=r"lengths \[7\] on cpu, expected \[4\] on the CPU"):
        _kernels.run_forward(Setting("gru"), operands, Marks(torch.ones(7, dtype=torch.int32)), keep=False)
    for number in (torch.float32, torch.bool):
        with pytest.raises(ShapeError, match=rf"lengths of {number}, expected integers"):
            _kernels.run_forward(Setting("gru"), operands, Marks(torch.ones(4, dtype=number)), keep=False)
    for wrong in (8, -1):
        with pytest.raises(ShapeError, match=r"gru over \[time, batch, input\] = \[7, 4, 3\], hidden = 5: .*length"):
            native.recurrence("gru", x, h, *weights, lengths=torch.tensor([1, wrong, 2, 3]))


@pytest.mark.parametrize("run", [native.recurrence, native.trace])
def test_contradictions_are_refused_in_words(run, draw):
    gru, lstm, rnn = draw("gru"), draw("lstm"), draw("rnn_tanh")
    h, c = lstm.state
    with pytest.raises(ShapeError, match=r"^lstm got h alone as its state, expected the pair \(h, C\)$"):
        run("lstm", lstm.x, h, *lstm.weights)
    with pytest.raises(ShapeError, match=r"^lstm got C alone as its state, expected the pair \(h, C\)$"):
        run("lstm", lstm.x, (None, c), *lstm.weights)
    for problem in (gru, rnn):
        with pytest.raises(ShapeError, match=rf"^{problem.kind} got a pair as its state, expected h alone$"):
            run(problem.kind, problem.x, (h, c), *problem.weights)
    with pytest.raises(ShapeError, match=r"^lstm got 3 tensors as its state, expected the pair \(h, C\)$"):
        run("lstm", lstm.x, (h, c, c), *lstm.weights)
    with pytest.raises(
        ConfigurationError, match=r"^kind='grru' is unknown: choose one of 'rnn_tanh', 'rnn_relu', 'gru"
    ):
        run("grru", gru.x, h, *gru.weights)
    with pytest.raises(ShapeError, match=r"rnn_tanh got h0 \[3, 5\], expected \[4, 5\]"):
        run("rnn_tanh", rnn.x, h[:3], *rnn.weights)
    if run is native.recurrence:
        with pytest.raises(
            ConfigurationError, match=r"^instructions='mmx' is unknown: choose one of 'baseline', 'avx2'"
        ):
            run("gru", gru.x, h, *gru.weights, instructions="mmx")


@pytest.mark.parametrize("size", [(2**61, 4, 3, 5), (7, 2**62, 3, 5), (7, 4, 2**62, 5), (7, 4, 3, 2**31)], ids=str)
def test_sizes_beyond_63_bits_are_refused_in_words(size):
    with pytest.raises(ShapeError, match=r"refuse gru over \[time, batch, input\] = \[\d+, \d+, \d+\], hidden = \d+: "):
        _kernels.measure(Setting("gru"), *size, 1)


def test_a_status_that_no_caller_should_see_is_an_error_as_well(draw, monkeypatch):
    problem = draw("gru")
    monkeypatch.setattr(_kernels, "VERSION", 99)
    monkeypatch.setattr(_kernels, "head", _kernels.head.__wrapped__)
    _kernels.measure.cache_clear()
    with pytest.raises(ThroughtimeError, match="version"):
        _kernels.run_forward(Setting("gru"), Operands(problem.x, None, None, *problem.weights), Marks(), False)
