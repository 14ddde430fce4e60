"""Every way in which torch differentiates: the values against the equations', not the absence of errors."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from torch.autograd import forward_ad
from torch.utils._python_dispatch import TorchDispatchMode

import throughtime
from throughtime._errors import ShapeError
from throughtime.ops import KINDS, native, reference
from throughtime.ops._pool import POOL

pytestmark = [
    pytest.mark.usefixtures("kernels"),
    pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated"),  # torch itself, at its first jvp
]
MARKS = {"lengths": torch.tensor([7, 0, 3, 5]), "resets": torch.arange(28).reshape(7, 4) % 5 == 0}
DIRECTIONS = [{}, {"reverse": True, **MARKS}]


def both(problem, transform, **marks):
    """What `transform(function)` gives for the kernels and for the equations, function taking all variables."""

    def function(run):
        return lambda *variables: torch.cat([part.flatten() for part in problem.results(run, *variables, **marks)])

    return transform(function(native.recurrence)), transform(function(reference.recurrence))


def assert_close(found, wanted):
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("marks", DIRECTIONS, ids=["plain", "marked"])
@pytest.mark.parametrize("kind", KINDS)
def test_transforms_give_the_values_of_the_equations(kind, marks, draw):
    problem = draw(kind)
    variables, every = problem.variables, tuple(range(len(problem.variables)))
    tangents = tuple(torch.randn_like(variable) for variable in variables)

    def summed(function):
        return lambda *given: function(*given).sin().sum()

    assert_close(*both(problem, lambda f: torch.func.grad(summed(f), every)(*variables), **marks))
    assert_close(*both(problem, lambda f: torch.func.jvp(f, variables, tangents), **marks))
    assert_close(*both(problem, lambda f: torch.func.vjp(f, *variables)[1](torch.ones_like(f(*variables))), **marks))
    assert_close(*both(problem, lambda f: torch.func.jacrev(f, every)(*variables), **marks))
    assert_close(*both(problem, lambda f: torch.func.jacfwd(f, 1)(*variables), **marks))


@pytest.mark.parametrize("kind", KINDS)
def test_hessian(kind, draw):
    problem = draw(kind, 3, 2, 2, 2)
    variables = problem.variables

    def hessian(function):
        return torch.func.hessian(lambda *given: function(*given).sin().sum(), (0, len(variables) - 3))(*variables)

    assert_close(*both(problem, hessian))


@pytest.mark.parametrize("kind", KINDS)
def test_mapping_over_inputs_and_over_weights(kind, draw):
    problem = draw(kind)
    x, *rest = problem.variables
    many = torch.randn(3, *x.shape)
    assert_close(*both(problem, lambda f: torch.func.vmap(f, (0, *[None] * len(rest)))(many, *rest)))
    weights = torch.randn(3, *rest[-3].shape)
    axes = tuple(0 if place == len(rest) - 2 else None for place in range(len(rest) + 1))
    assert_close(*both(problem, lambda f: torch.func.vmap(f, axes)(x, *rest[:-3], weights, *rest[-2:])))


@pytest.mark.parametrize("marks", DIRECTIONS, ids=["plain", "marked"])
@pytest.mark.parametrize("kind", KINDS)
def test_differentiated_twice(kind, marks, draw):
    problem = draw(kind)

    def twice(function):
        variables = [variable.clone().requires_grad_() for variable in problem.variables]
        first = torch.autograd.grad(function(*variables).sin().sum(), variables, create_graph=True)
        penalty = sum(gradient.square().sum() for gradient in first)
        return [*first, *torch.autograd.grad(penalty, variables)]

    assert_close(*both(problem, twice, **marks))


@pytest.mark.parametrize("kind", KINDS)
def test_one_tensor_in_two_places(kind, draw):
    """Square weights that are the same for x and for h: each place has its own gradient, and they add up."""
    problem = draw(kind, 4, 3, 5, 5)

    def shared(run, create_graph):
        weight = problem.weights[0].clone().requires_grad_()
        state = problem.state if len(problem.state) > 1 else problem.state[0]
        output, _ = run(kind, problem.x, state, weight, weight)
        return torch.autograd.grad(output.sin().sum(), weight, create_graph=create_graph)[0].detach()

    wanted = shared(reference.recurrence, False)
    assert_close(shared(native.recurrence, False), wanted)
    assert_close(shared(native.recurrence, True), wanted)


def test_forward_mode(draw):
    problem = draw("gru")
    tangent = torch.randn_like(problem.x)

    def forward(function):
        with forward_ad.dual_level():
            result = function(forward_ad.make_dual(problem.x, tangent), *problem.variables[1:])
            return forward_ad.unpack_dual(result).tangent

    found, wanted = both(problem, forward)
    assert wanted.any()
    assert_close(found, wanted)


def test_many_cotangents_at_once(draw):
    problem = draw("lstm")

    def mapped(function):
        variables = [variable.clone().requires_grad_() for variable in problem.variables]
        result = function(*variables)
        cotangents = torch.eye(len(result))[::17]
        return torch.autograd.grad(result, variables, cotangents, is_grads_batched=True)

    assert_close(*both(problem, mapped))


def test_a_backward_twice_and_two_forwards_before_one_backward(draw):
    first, second = draw("gru", 40, 50, 3, 40, seed=1), draw("gru", 40, 50, 3, 40, seed=2)  # large enough for the pool
    wanted = [problem.everything(native.recurrence)[2:] for problem in (first, second)]
    graphs = []
    for problem in (first, second):
        variables = [variable.clone().requires_grad_() for variable in problem.variables]
        graphs.append((problem.results(native.recurrence, *variables), variables, problem.cotangents))
    for (results, variables, cotangents), expected in zip(graphs, wanted, strict=True):
        for retained in (True, False):
            found = torch.autograd.grad(results, variables, cotangents, retain_graph=retained)
            assert all(map(torch.equal, found, expected))
        with pytest.raises(RuntimeError, match="backward through the graph a second time"):
            torch.autograd.grad(results, variables, cotangents)


def test_a_save_returns_when_its_graph_is_gone(draw):
    POOL.clear()
    problem = draw("gru", 40, 50, 3, 40)
    variables = [variable.clone().requires_grad_() for variable in problem.variables]
    results = problem.results(native.recurrence, *variables)
    held = POOL.idle
    torch.autograd.grad(results, variables, problem.cotangents)
    assert POOL.idle > held  # a graph that may be gone through once only lets go at once
    POOL.clear()
    results = problem.results(native.recurrence, *variables)
    held = POOL.idle
    del results
    assert POOL.idle > held
    before = POOL.idle
    for _ in range(5):
        problem.everything(native.recurrence)
    settled = POOL.idle
    for _ in range(5):
        problem.everything(native.recurrence)
    assert POOL.idle == settled >= before


@pytest.mark.parametrize("kind", KINDS)
def test_what_hooks_give_back_may_lie_anywhere(kind, draw):
    problem = draw(kind, 9, 5, 3, 17)
    wanted = problem.everything(native.recurrence)

    def moved(tensor):
        """The same values at an odd place, none beside the other."""
        wide = tensor.new_zeros((*tensor.shape, 3))
        wide[..., 1] = tensor
        return wide[..., 1]

    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: tensor, moved):
        assert all(map(torch.equal, problem.everything(native.recurrence), wanted))
    for dtype, message in (
        (torch.uint8, r"got back \[\d+\] of torch.uint8, expected the \d+ bytes"),
        (torch.float32, "expected"),
    ):

        def shortened(tensor, dtype=dtype):
            return tensor[:-1] if tensor.dtype == dtype else tensor

        if dtype == torch.uint8 and kind.startswith("rnn"):  # these save nothing but their output
            continue

        with (
            torch.autograd.graph.saved_tensors_hooks(lambda tensor: tensor, shortened),
            pytest.raises(ShapeError, match=message),
        ):
            problem.everything(native.recurrence)


def test_an_output_changed_in_place_is_found_out(draw):
    problem = draw("gru")
    variables = [variable.clone().requires_grad_() for variable in problem.variables]
    output = problem.results(native.recurrence, *variables)[0]
    output.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        output.sum().backward()


@pytest.mark.parametrize("kind", KINDS)
def test_the_custom_ops_are_sound(kind, draw):
    problem = draw(kind)
    x, *rest = (variable.clone().requires_grad_() for variable in problem.variables)
    h0, c0, weights = rest[0], rest[1] if kind == "lstm" else None, rest[-4:]
    for keep, marks in ((True, {"lengths": None, "resets": None}), (False, MARKS)):
        arguments = (kind, False, "float32", "", keep, x, h0, c0, *weights, marks["lengths"], marks["resets"])
        checks = ("test_schema", "test_faketensor", *(("test_autograd_registration",) if keep else ()))
        if keep:
            checks += ("test_aot_dispatch_static", "test_aot_dispatch_dynamic")
        torch.library.opcheck(torch.ops.throughtime.recurrence.default, arguments, test_utils=checks)


@pytest.mark.parametrize("kind", KINDS)
def test_differentiated_twice_and_mapped_while_operators_are_watched(kind, draw):
    """Under a mode that sees every operator, the kernels' own stand where a graph would hold them."""
    problem = draw(kind)

    def watched(function, mode):
        variables = [variable.clone().requires_grad_() for variable in problem.variables]
        with mode:
            result = function(*variables)
        first = torch.autograd.grad(result.sin().sum(), variables, create_graph=True)
        penalty = sum(gradient.square().sum() for gradient in first)
        second = torch.autograd.grad(penalty, variables, retain_graph=True)
        many = torch.autograd.grad(result, variables, torch.eye(len(result))[::17], is_grads_batched=True)
        return [*first, *second, *many]

    class Watch(TorchDispatchMode):
        seen: ClassVar[set[str]] = set()

        def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
            self.seen.add(str(function))
            return function(*arguments, **(keywords or {}))

    assert_close(*both(problem, lambda f: watched(f, Watch())))
    assert "throughtime.recurrence.default" in Watch.seen


CAPTURED = """
import torch
from throughtime import GRU, LSTM, RNN
from torch.autograd import forward_ad
from throughtime.ops import linear

torch.manual_seed(0)
x = torch.randn(6, 4, 3, requires_grad=True)
marks = {"lengths": torch.tensor([6, 1, 3, 4]), "resets": torch.arange(24).reshape(6, 4) % 5 == 0}


def gradients(function, variables, *arguments, **keywords):
    output, state = function(*arguments, **keywords)
    results = [output, *(state if isinstance(state, tuple) else (state,))]
    return [*results, *torch.autograd.grad(sum(part.sin().sum() for part in results), variables)]


class Head(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(300, 20))

    def forward(self, x):
        return linear(x, self.weight), ()


for layer in (RNN(3, 5, num_layers=2, bidirectional=True), GRU(3, 5), LSTM(3, 5, batch_first=True), Head()):
    head = isinstance(layer, Head)
    given = torch.randn(6, 4, 20, requires_grad=True) if head else x
    kinds = ({},) if head or layer.batch_first else ({}, marks)
    variables = [given, *layer.parameters()]
    for keywords in kinds:
        torch._dynamo.reset()
        wanted = gradients(layer, variables, given, **keywords)
        compiled = torch.compile(layer, backend="aot_eager", fullgraph=True, dynamic=not keywords)
        torch.testing.assert_close(gradients(compiled, variables, given, **keywords), wanted)
        longer = given.repeat(2, 1, 1).detach()
        if not keywords:
            torch.testing.assert_close(compiled(longer)[0], layer(longer)[0])
    if not head:
        sizes = {0: torch.export.Dim("time", min=2), 1: torch.export.Dim("batch", min=2)}
        graph = torch.export.export(layer, (given.detach(),), dynamic_shapes={"input": sizes}, strict=True)
        names = {node.target for node in graph.graph.nodes if node.op == "call_function"}
        assert torch.ops.throughtime.recurrence.default in names, names
        torch.testing.assert_close(graph.module()(longer)[0], layer(longer)[0])

        for strict in (True, False):
            graph = torch.export.export(layer, (given.detach(),), strict=strict)
            calls = [node.args for node in graph.graph.nodes if node.target == torch.ops.throughtime.recurrence.default]
            assert calls, graph
            assert hasattr(torch.compiler, "is_exporting") is False or not any(call[4] for call in calls), calls  # keep
            module = graph.module()
            torch.testing.assert_close(gradients(module, [given], given), gradients(layer, [given], given))

for layer in (GRU(3, 5).requires_grad_(False), LSTM(3, 5).requires_grad_(False), Head().requires_grad_(False)):
    torch._dynamo.reset()
    given = torch.randn(6, 4, 20 if isinstance(layer, Head) else 3)
    direction = torch.randn_like(given)

    def forward(function):
        with forward_ad.dual_level():
            return forward_ad.unpack_dual(function(forward_ad.make_dual(given, direction))[0]).tangent

    def pushed(function):
        return torch.func.jvp(lambda one: function(one)[0], (given,), (direction,))

    for backend in ("eager", "aot_eager"):
        compiled = torch.compile(layer, backend=backend)
        compiled(given)
        torch.testing.assert_close(forward(compiled), forward(layer))
    for strict in (True, False):
        module = torch.export.export(layer, (given,), strict=strict).module()
        torch.testing.assert_close(pushed(module), pushed(layer))
        torch.testing.assert_close(forward(module), forward(layer))

for layer in (GRU(3, 5), LSTM(3, 5), Head()):
    torch._dynamo.reset()
    given = torch.randn(6, 4, 20 if isinstance(layer, Head) else 3, requires_grad=True)
    variables = [given, *layer.parameters()]

    def twice(function):
        first = torch.autograd.grad(function(given)[0].sin().sum(), variables, create_graph=True)
        return torch.autograd.grad(sum(part.square().sum() for part in first), variables)

    torch.testing.assert_close(twice(torch.compile(layer, backend="eager")), twice(layer), rtol=1e-4, atol=1e-4)

small = GRU(2, 3)
x = torch.randn(2, 2, 2)
for transform in (
    lambda f: torch.func.jvp(f, (x,), (x,))[1],
    lambda f: torch.func.grad(lambda one: f(one).sin().sum())(x),
    lambda f: torch.func.vmap(lambda one: f(one.unsqueeze(1)), 1)(x),
):
    def run(transform=transform):
        return transform(lambda one: small(one)[0])

    torch.testing.assert_close(torch.compile(run, backend="aot_eager")(), run())
"""


def test_captured_graphs_hold_the_kernels():
    """In a process of its own: the shape checks that tests run under are none that Dynamo can trace."""
    run_apart(CAPTURED)


INDUCED = """
import torch
from throughtime import GRU, LSTM

for layer in (GRU(3, 5), LSTM(3, 5, num_layers=2)):
    torch.manual_seed(0)
    compiled = torch.compile(layer, dynamic=True)
    for time, batch in ((6, 4), (9, 2)):
        x = torch.randn(time, batch, 3, requires_grad=True)
        found, wanted = ([(y := f(x)[0]), *torch.autograd.grad(y.sin().sum(), [x, *layer.parameters()])]
                         for f in (compiled, layer))
        torch.testing.assert_close(found, wanted)
"""


@pytest.mark.slow
def test_inductor_trains():
    run_apart(INDUCED)


def run_apart(code):
    environment = {**os.environ, "PYTHONPATH": str(Path(throughtime.__file__).parents[1])}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
