"""Every optimiser by its name, against torch's own or against its paper, in a loop and in a training."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import throughtime.training.loop as loop
from throughtime import GRU, ConfigurationError, UnsupportedError, cli
from throughtime.artifacts import OptimizerSettings, load, store
from throughtime.artifacts.configuration import OptimizerName
from throughtime.data import SeriesData
from throughtime.training import Position, Training, checkpoint, prepare, resume
from throughtime.training.adamp import AdamP
from throughtime.training.optimizers import build_optimizer, learning_rate

NAMES = get_args(OptimizerName)
RATES = {"sgd": 0.3, "momentum": 0.05, "nesterov": 0.05, "adagrad": 0.05, "lbfgs": 1.0}
SEARCH = {"max_iter": 1, "max_eval": 25, "history_size": 10, "line_search_fn": "strong_wolfe"}
TORCH: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": torch.optim.SGD,
    "momentum": lambda groups, lr: torch.optim.SGD(groups, lr=lr, momentum=0.9),
    "nesterov": lambda groups, lr: torch.optim.SGD(groups, lr=lr, momentum=0.9, nesterov=True),
    "adagrad": torch.optim.Adagrad,
    "rmsprop": torch.optim.RMSprop,
    "rprop": lambda groups, lr: torch.optim.Rprop([p for group in groups for p in group["params"]], lr=lr),
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "radam": lambda groups, lr: torch.optim.RAdam(groups, lr=lr, decoupled_weight_decay=True),
    "nadam": lambda groups, lr: torch.optim.NAdam(groups, lr=lr, decoupled_weight_decay=True),
    "adamp": AdamP,
    "lbfgs": lambda groups, lr: torch.optim.LBFGS([p for g in groups for p in g["params"]], lr=lr, **SEARCH),
}


class Delayed(nn.Module):
    """A GRU that is to say again what it read a step ago."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.recurrent, self.head = GRU(2, 5), nn.Linear(5, 2)
        self.inputs = torch.randn(9, 6, 2)

    def loss(self) -> Tensor:
        said = self.head(self.recurrent(self.inputs)[0])
        return functional.mse_loss(said[1:], self.inputs[:-1])


def settings(name: str, **others: Any) -> OptimizerSettings:
    return OptimizerSettings(name=name, learning_rate=RATES.get(name, 0.02), weight_decay=0.05, **others)


def steps(model: Delayed, optimizer: torch.optim.Optimizer, count: int) -> list[float]:
    """The losses before so many updates."""

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = model.loss()
        loss.backward()
        return loss

    return [float(optimizer.step(closure).detach()) for _ in range(count)]


@pytest.mark.parametrize("name", NAMES)
def test_it_lowers_the_loss(name: str) -> None:
    model = Delayed()
    losses = steps(model, build_optimizer(model.parameters(), settings(name)), 60)
    assert losses[-1] < 0.85 * losses[0]


@pytest.mark.parametrize("name", NAMES)
def test_each_step_is_that_of_torch(name: str) -> None:
    ours, theirs = Delayed(), Delayed()
    matrices = [parameter for parameter in theirs.parameters() if parameter.dim() > 1]
    vectors = [parameter for parameter in theirs.parameters() if parameter.dim() == 1]
    # L-BFGS takes the parameters in one group: its sums go over them in the model's order.
    groups = [{"params": matrices, "weight_decay": 0.05}, {"params": vectors, "weight_decay": 0.0}]
    groups = [{"params": list(theirs.parameters())}] if name == "lbfgs" else groups
    mine = build_optimizer(ours.parameters(), settings(name))
    other = TORCH[name](groups, lr=RATES.get(name, 0.02))
    for _ in range(8):
        assert steps(ours, mine, 1) == steps(theirs, other, 1)
        for found, wanted in zip(ours.parameters(), theirs.parameters(), strict=True):
            assert torch.equal(found, wanted)


@pytest.mark.parametrize("name", NAMES)
def test_its_state_goes_on_from_a_checkpoint(name: str, tmp_path: Path) -> None:
    whole, parts = Delayed(), Delayed()
    optimizer = build_optimizer(whole.parameters(), settings(name))
    wanted = steps(whole, optimizer, 24)
    first = build_optimizer(parts.parameters(), settings(name))
    found = steps(parts, first, 13)
    checkpoint.save(tmp_path / "file.safetensors", parts, first, None, Position(), {})
    fresh = Delayed()
    second = build_optimizer(fresh.parameters(), settings(name))
    checkpoint.restore(tmp_path / "file.safetensors", fresh, second)
    assert_same(second.state_dict(), first.state_dict())
    assert found + steps(fresh, second, 11) == wanted
    assert_same(fresh.state_dict(), whole.state_dict())
    assert_same(second.state_dict(), optimizer.state_dict())


def assert_same(found: Any, wanted: Any) -> None:
    """The same tree, leaf by leaf, types included."""
    assert isinstance(found, type(wanted)) or isinstance(wanted, type(found))
    if isinstance(wanted, Tensor):
        assert found.dtype == wanted.dtype
        assert torch.equal(found, wanted)
    elif isinstance(wanted, Mapping):
        assert found.keys() == wanted.keys()
        for key in wanted:
            assert_same(found[key], wanted[key])
    elif isinstance(wanted, list | tuple):
        assert len(found) == len(wanted)
        for one, other in zip(found, wanted, strict=True):
            assert_same(one, other)
    else:
        assert found == wanted


def test_momentum_is_that_of_the_name_or_the_one_given() -> None:
    def of(**given: Any) -> list[float]:
        optimizer = build_optimizer(nn.Linear(2, 2).parameters(), OptimizerSettings(**given))
        return [group["momentum"] for group in optimizer.param_groups]

    assert of(name="sgd") == of(name="rmsprop") == [0.0, 0.0]
    assert of(name="momentum") == of(name="nesterov") == [0.9, 0.9]
    for name in ("sgd", "momentum", "nesterov", "rmsprop"):
        assert of(name=name, momentum=0.7) == [0.7, 0.7]
    for name in ("momentum", "nesterov"):
        with pytest.raises(ValueError, match=f"momentum = 0 leaves {name} nothing to go by: name sgd instead"):
            OptimizerSettings(name=name, momentum=0)


def test_lbfgs_solves_a_quadratic() -> None:
    """Of six dimensions and a condition of 1,000, until gᵀH⁻¹g is below its tolerance of 1e-9."""
    generator = torch.Generator().manual_seed(0)
    basis, _ = torch.linalg.qr(torch.randn(6, 6, generator=generator, dtype=torch.float64))
    curvature = basis @ torch.diag(torch.logspace(-1, 2, 6, dtype=torch.float64)) @ basis.T
    wanted = torch.randn(6, generator=generator, dtype=torch.float64)
    place = nn.Parameter(torch.zeros(6, dtype=torch.float64))
    optimizer = build_optimizer([place], OptimizerSettings(name="lbfgs", learning_rate=1.0))

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = (place - wanted) @ curvature @ (place - wanted) / 2
        loss.backward()
        return loss

    for _ in range(60):
        optimizer.step(closure)
    assert float(closure().detach()) < 1e-8
    torch.testing.assert_close(place.detach(), wanted, rtol=0, atol=5e-4)


# AdamP


def adamp_by_hand(
    weight: np.ndarray, gradients: list[np.ndarray], rate: float, decay: float, delta: float, ratio: float
) -> tuple[np.ndarray, list[str]]:
    """The equations of the paper, a number at a time; and as what the weight was taken at each step."""
    weight, taken = weight.copy(), []
    mean, square = np.zeros_like(weight), np.zeros_like(weight)
    for count, gradient in enumerate(gradients, 1):
        move = np.zeros_like(weight)
        for place in np.ndindex(weight.shape):
            mean[place] = 0.9 * mean[place] + 0.1 * gradient[place]
            square[place] = 0.999 * square[place] + 0.001 * gradient[place] ** 2
            corrected = math.sqrt(square[place] / (1 - 0.999**count)) + 1e-8
            move[place] = mean[place] / (1 - 0.9**count) / corrected
        kind = "neither"
        if weight.ndim > 1:
            channels = [(index,) for index in range(len(weight))]
            if all(orthogonal(weight[one], gradient[one], delta) for one in channels):
                kind = "channels"
                for one in channels:
                    move[one] = tangent(move[one], weight[one])
            elif orthogonal(weight, gradient, delta):
                kind, move = "layer", tangent(move, weight)
        taken.append(kind)
        weight = weight - rate * move - rate * decay * (1 if kind == "neither" else ratio) * weight
    return weight, taken


def orthogonal(weight: np.ndarray, gradient: np.ndarray, delta: float) -> bool:
    cosine = float((weight * gradient).sum()) / math.sqrt(float((weight**2).sum()) * float((gradient**2).sum()))
    return abs(cosine) < delta / math.sqrt(weight.size)


def tangent(move: np.ndarray, weight: np.ndarray) -> np.ndarray:
    unit = weight / math.sqrt(float((weight**2).sum()))
    return move - float((unit * move).sum()) * unit


@pytest.mark.parametrize("kind", ["channels", "layer", "neither"])
@pytest.mark.parametrize("shape", [(3, 4), (1, 5), (2, 3, 2), (5,)])
def test_adamp_follows_its_paper(shape: tuple[int, ...], kind: str) -> None:
    chance = np.random.default_rng(1)
    weight = chance.normal(size=shape)
    parameter = nn.Parameter(torch.tensor(weight))
    optimizer = AdamP([parameter], lr=0.01, weight_decay=0.3, delta=0.2, decay_ratio=0.4)
    gradients = []
    for _ in range(6):
        now, gradient = parameter.detach().numpy(), chance.normal(size=shape)
        if kind == "channels" and len(shape) > 1:
            gradient = np.stack([tangent(*pair) for pair in zip(gradient, now, strict=True)])
        elif kind == "layer":
            gradient = tangent(gradient, now)
            if len(now) > 1 and now.ndim > 1:  # what one channel has along its weight, another has against it
                gradient[0] += 3 * now[0] / (now[0] ** 2).sum()
                gradient[1] -= 3 * now[1] / (now[1] ** 2).sum()
        elif kind == "neither":
            gradient = 0.3 * gradient + now
        gradients.append(gradient.copy())
        parameter.grad = torch.tensor(gradient)
        optimizer.step()
    wanted, taken = adamp_by_hand(weight, gradients, 0.01, 0.3, 0.2, 0.4)
    expected = "neither" if len(shape) == 1 else "channels" if len(weight) == 1 and kind == "layer" else kind
    assert set(taken) == {expected}
    np.testing.assert_allclose(parameter.detach().numpy(), wanted, rtol=1e-12)


@pytest.mark.parametrize("rows", [1, 4])
def test_adamp_does_not_lengthen_a_weight_whose_direction_alone_counts(rows: int) -> None:
    """A step orthogonal to the weight, and that alone: ‖w'‖² = ‖w‖² + ‖w' − w‖², for each row that is normalised."""
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(4, 6, generator=generator, dtype=torch.float64)
    target = torch.randn(4, 6, generator=generator, dtype=torch.float64)

    def radial_and_growth(make: Callable[..., torch.optim.Optimizer]) -> tuple[float, float]:
        weight, largest = nn.Parameter(start.clone()), 0.0
        optimizer = make([weight], lr=0.05)
        for _ in range(40):
            optimizer.zero_grad()
            before = weight.detach().clone().view(rows, -1)
            (functional.normalize(weight.view(rows, -1), dim=1).view(4, 6) - target).square().sum().backward()
            optimizer.step()
            after = weight.detach().view(rows, -1)
            radial = after.square().sum(1) - before.square().sum(1) - (after - before).square().sum(1)
            largest = max(largest, float(radial.abs().max()))
        return largest, float(weight.detach().norm() / start.norm())

    radial, growth = radial_and_growth(AdamP)
    assert radial < 1e-12
    lengthened, grown = radial_and_growth(torch.optim.Adam)
    assert lengthened > 1e-3
    assert 1 < growth < grown


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_adamp_is_adamw_where_nothing_is_scale_invariant(decay: float) -> None:
    generator = torch.Generator().manual_seed(0)
    ours = [nn.Parameter(torch.randn(*shape, generator=generator, dtype=torch.float64)) for shape in ((3, 5), (7,))]
    theirs = copy.deepcopy(ours)
    optimizers = AdamP(ours, lr=0.01, weight_decay=decay), torch.optim.AdamW(theirs, lr=0.01, weight_decay=decay)
    for _ in range(20):
        for one, other in zip(ours, theirs, strict=True):
            one.grad = one.detach() + 0.3 * torch.randn(one.shape, generator=generator, dtype=torch.float64)
            other.grad = one.grad.clone()
        for optimizer in optimizers:
            optimizer.step()
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=0)


def test_adamp_leaves_alone_what_has_no_gradient_or_no_element() -> None:
    empty, unused = nn.Parameter(torch.zeros(3, 0)), nn.Parameter(torch.ones(2, 2))
    empty.grad = torch.zeros(3, 0)
    AdamP([empty, unused], lr=0.1, weight_decay=0.5).step()
    assert torch.equal(unused, torch.ones(2, 2))


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ({"lr": -1.0}, r"AdamP\(lr=-1.0\): expected a number of at least 0"),
        ({"delta": math.nan}, r"AdamP\(delta=nan\)"),
        ({"betas": (0.9, 1.0)}, r"AdamP\(betas=\(0.9, 1.0\)\): expected two numbers from 0 to below 1"),
    ],
)
def test_adamp_refuses_settings_out_of_range(setting: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        AdamP([nn.Parameter(torch.ones(2))], **setting)


def test_adamp_refuses_sparse_and_complex_gradients() -> None:
    embedding = nn.Embedding(4, 3, sparse=True)
    embedding(torch.tensor([1])).sum().backward()
    with pytest.raises(UnsupportedError, match="sparse gradient"):
        AdamP(embedding.parameters()).step()
    spiral = nn.Parameter(torch.ones(2, dtype=torch.complex64))
    spiral.grad = torch.ones_like(spiral)
    with pytest.raises(UnsupportedError, match="complex gradient"):
        AdamP([spiral]).step()


# In a training


def training_of(series: SeriesData, folder: Path, name: str, dropout: float = 0.3, **others: Any) -> Training:
    optimizer = {"name": name, "learning_rate": RATES.get(name, 0.02), "warmup": 3} | others.pop("optimizer", {})
    return prepare(
        series,
        folder,
        task={"batch_size": 32, "lookback": 10, "horizon": 4, "windows": 64},
        family={"hidden_size": 4, "num_layers": 2, "dropout": dropout},
        training={"epochs": 1} | others,
        optimizer=optimizer,
    )


def last_weights(folder: Path) -> dict[str, Tensor]:
    return {name: value for name, value in store.read_tensors(folder / store.CHECKPOINT)[0].items() if "model" in name}


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("throughtime.training.epochs._FEWEST_BATCHES", 12)


@pytest.mark.parametrize("name", NAMES)
def test_a_training_goes_on_as_it_was(series, short, tmp_path, monkeypatch, name) -> None:
    """With dropout, a schedule and clipping."""
    monkeypatch.setattr(loop, "_SECONDS_BETWEEN_CHECKPOINTS", -1.0)

    def stop(event: str, record: Mapping[str, Any]) -> None:
        if event == "step" and record["step"] == 8:
            raise InterruptedError

    training_of(series, tmp_path / "whole", name).fit()
    training = training_of(series, tmp_path / "parts", name)
    training.observers = [stop]
    with pytest.raises(InterruptedError):
        training.fit()
    resume(load(tmp_path / "parts", weights=False)).fit()
    found, wanted = (store.read_tensors(tmp_path / part / store.CHECKPOINT)[0] for part in ("parts", "whole"))
    assert_same(found, wanted)
    assert (tmp_path / "parts" / store.METRICS).read_text() == (tmp_path / "whole" / store.METRICS).read_text()


@pytest.mark.parametrize("name", ["sgd", "adamp", "lbfgs"])
def test_the_learning_rate_is_that_of_the_schedule(series, short, tmp_path, name) -> None:
    training, rates = training_of(series, tmp_path / "run", name), []

    def watch(event: str, record: Mapping[str, Any]) -> None:
        if event == "step":
            share = (record["step"] - 1) / len(training.training)
            rates.append(
                (record["learning_rate"], learning_rate(training.settings.optimizer, record["step"] - 1, share))
            )

    training.observers = [watch]
    training.fit()
    assert [found for found, _ in rates] == pytest.approx([wanted for _, wanted in rates], rel=1e-12)
    assert len({found for found, _ in rates}) > 5


def test_clipping_bounds_a_step_of_sgd(series, short, tmp_path) -> None:
    limits = {"optimizer": {"clip": 1e-3, "schedule": "constant", "warmup": 0, "weight_decay": 0.0}}
    training = training_of(series, tmp_path / "run", "sgd", **limits)
    places = [torch.cat([parameter.detach().flatten() for parameter in training.model.parameters()])]

    def watch(event: str, record: Mapping[str, Any]) -> None:
        if event == "step":
            places.append(torch.cat([parameter.detach().flatten() for parameter in training.model.parameters()]))

    training.observers = [watch]
    training.fit()
    moves = [float((after - before).norm()) for before, after in pairwise(places)]
    assert moves == pytest.approx([RATES["sgd"] * 1e-3] * len(moves), rel=1e-3)


def test_lbfgs_is_not_clipped(series, short, tmp_path) -> None:
    for name, clip in (("narrow", 1e-3), ("wide", None)):
        training_of(series, tmp_path / name, "lbfgs", optimizer={"clip": clip}).fit()
    assert_same(last_weights(tmp_path / "narrow"), last_weights(tmp_path / "wide"))


def test_lbfgs_sees_one_function_in_spite_of_dropout(series, short, tmp_path, monkeypatch) -> None:
    """The same loss and gradient wherever they are asked for again, and the draws of one evaluation in all."""
    again, told = Training._again, []

    def twice(self: Training, segments: Any, random: dict[str, Tensor]) -> float:
        outcomes = []
        for _ in range(2):
            loss = again(self, segments, random)
            gradients = [parameter.grad.clone() for parameter in self.model.parameters()]
            outcomes.append((loss, gradients, torch.get_rng_state()))
        assert_same(outcomes[0], outcomes[1])
        assert not torch.equal(random["cpu"], outcomes[0][2])
        told.append(outcomes[0][0])
        return outcomes[0][0]

    monkeypatch.setattr(Training, "_again", twice)
    training = training_of(series, tmp_path / "run", "lbfgs")
    first: list[float] = []
    training.observers = [lambda event, record: first.append(record["loss"]) if event == "step" else None]
    training.fit()
    assert len(told) > len(first) == 12
    assert told[0] == first[0]
    assert first[-1] < first[0]


def test_lbfgs_with_less_memory_is_lbfgs(series, short, tmp_path) -> None:
    for strategy in ("full", "checkpointed:5"):
        training_of(series, tmp_path / strategy[:4], "lbfgs", dropout=0.0, strategy=strategy, epochs=1).fit()
    whole, parts = last_weights(tmp_path / "full"), last_weights(tmp_path / "chec")
    for name, wanted in whole.items():
        torch.testing.assert_close(parts[name], wanted, rtol=0.02, atol=0.02)


@pytest.mark.parametrize("strategy", ["truncated:5", "truncated:3,6", "artbp:4,8", "rtrl", "uoro"])
def test_lbfgs_refuses_a_strategy_that_steps_within_a_batch(series, tmp_path, strategy) -> None:
    with pytest.raises(ConfigurationError, match=r"optimizer 'lbfgs' asks .* use the strategy full or checkpointed"):
        prepare(
            series,
            tmp_path / "run",
            task={"horizon": 4, "lookback": 10},
            family={"hidden_size": 4},
            training={"strategy": strategy},
            optimizer={"name": "lbfgs"},
        )
    assert not (tmp_path / "run").exists()


def test_the_search_walks_back_from_a_loss_that_is_not_a_number(series, short, tmp_path, monkeypatch) -> None:
    again, mean, distances = Training._again, loop._mean, []
    training = training_of(series, tmp_path / "run", "lbfgs")
    start = torch.cat([parameter.detach().flatten() for parameter in training.model.parameters()])

    def far(self: Training, *given: Any) -> float:
        place = torch.cat([parameter.detach().flatten() for parameter in self.model.parameters()])
        distances.append(float((place - start).norm()))
        with monkeypatch.context() as patch:
            if len(distances) in (2, 3):
                patch.setattr(loop, "_mean", lambda segment: math.nan * mean(segment))
            return again(self, *given)

    monkeypatch.setattr(Training, "_again", far)
    training.fit()
    assert distances[0] == 0
    assert 0 < distances[3] < distances[2] < distances[1]
    assert all(torch.isfinite(value).all() for value in last_weights(tmp_path / "run").values())


def test_the_command_line_knows_every_name(text_file, tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    assert cli.run(["train", "--help"]) == 0
    assert f"{'|'.join(NAMES)}" in capsys.readouterr().out
    assert cli.run(["train", str(text_file), "--optimizer", "lbfgs", "--out", str(tmp_path / "run")]) != 0
    shown = " ".join(capsys.readouterr().err.split())
    assert "use the strategy full or checkpointed" in shown
    assert not (tmp_path / "run").exists()
