"""AR and VAR against statsmodels and numpy's least squares: coefficients, noise, likelihood, blocks and state."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partialmethod
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats
from statsmodels.tsa.api import VAR
from statsmodels.tsa.ar_model import AutoReg
from torch import Tensor

from throughtime import ConfigurationError, DataError, ShapeError
from throughtime.data import shifted
from throughtime.models import Autoregression, count_parameters, negative_log_likelihood


def series(rows: int, observed: int = 1, known: int = 0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Values [time, observed] that depend on the last two, around a level, and on what is known [time, known]."""
    generator = np.random.default_rng(seed)
    one, two = 0.4 * generator.normal(size=(2, observed, observed)) / observed**0.5
    weights, columns = generator.normal(size=(observed, known)), generator.normal(size=(rows, known))
    values = generator.normal(size=(rows, observed)) * np.linspace(0.5, 2, observed)
    for t in range(2, rows):
        values[t] += 3 + (one + 0.3 * np.eye(observed)) @ values[t - 1] + two @ values[t - 2] + weights @ columns[t]
    return values, columns


def pair(values: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Row t of the inputs is x_{t−1} and k_t, and row t of the targets x_t."""
    return np.concatenate([values[:-1], columns[1:]], 1), values[1:]


def fitted(values: np.ndarray, columns: np.ndarray, order: int) -> Autoregression:
    return Autoregression(values.shape[1], order, columns.shape[1]).double().fit([pair(values, columns)])


def log_likelihood(model: Autoregression, values: np.ndarray, columns: np.ndarray) -> Tensor:
    """Of all steps that have τ before them, [time − τ]."""
    inputs, targets = (torch.as_tensor(part)[:, None] for part in pair(values, columns))
    return model(inputs)[0].log_prob(targets)[model.order - 1 :, 0].detach()


def design(values: np.ndarray, columns: np.ndarray, order: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows x_{t−1} … x_{t−τ}, k_t, 1, and x_t, one at a time."""
    rows = [
        np.concatenate([*(values[t - lag] for lag in range(1, order + 1)), columns[t], [1.0]])
        for t in range(order, len(values))
    ]
    return np.array(rows), values[order:]


def assert_least_squares(model: Autoregression, rows: np.ndarray, wanted: np.ndarray) -> None:
    solution, *_ = np.linalg.lstsq(rows, wanted, rcond=None)
    linear = model.head.linear
    np.testing.assert_allclose(linear.weight[: model.observed].detach(), solution[:-1].T, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(linear.bias[: model.observed].detach(), solution[-1], rtol=1e-8)
    deviations = np.sqrt(np.square(wanted - rows @ solution).mean(0))
    np.testing.assert_allclose(model.scale().detach(), deviations, rtol=1e-8)
    assert not linear.weight[model.observed :].any()


@pytest.mark.parametrize("known", [0, 2])
@pytest.mark.parametrize("order", [1, 3, 24])
def test_against_autoreg(order: int, known: int) -> None:
    values, columns = series(400, known=known)
    model = fitted(values, columns, order)
    theirs = AutoReg(values[:, 0], order, "c", exog=columns if known else None).fit()
    constant, coefficients = model.coefficients()
    assert coefficients.shape == (order, 1, 1)
    np.testing.assert_allclose(constant.detach(), theirs.params[:1], rtol=1e-8)
    np.testing.assert_allclose(coefficients.detach().flatten(), theirs.params[1 : order + 1], rtol=1e-8)
    np.testing.assert_allclose(model.head.linear.weight[0, order:].detach(), theirs.params[order + 1 :], rtol=1e-8)
    np.testing.assert_allclose(model.scale().detach(), np.sqrt(np.square(theirs.resid).mean()), rtol=1e-8)
    values_of = log_likelihood(model, values, columns)
    assert len(values_of) == 400 - order
    assert values_of.sum().item() == pytest.approx(theirs.llf, rel=1e-10)
    assert_least_squares(model, *design(values, columns, order))
    assert count_parameters(model) == len(theirs.params) + 1


@pytest.mark.parametrize("observed", [2, 3])
def test_against_var(observed: int) -> None:
    values, columns = series(300, observed)
    model = fitted(values, columns, 2)
    theirs = VAR(values).fit(2, trend="c")
    constant, coefficients = model.coefficients()
    np.testing.assert_allclose(constant.detach(), theirs.intercept, rtol=1e-8)
    np.testing.assert_allclose(coefficients.detach(), theirs.coefs, rtol=1e-8, atol=1e-10)
    deviations = np.sqrt(np.diag(theirs.sigma_u_mle))
    np.testing.assert_allclose(model.scale().detach(), deviations, rtol=1e-8)
    wanted = stats.norm.logpdf(theirs.resid, scale=deviations).sum(1)  # of each value by itself
    np.testing.assert_allclose(log_likelihood(model, values, columns), wanted, rtol=1e-8)
    assert_least_squares(model, *design(values, columns, 2))
    assert count_parameters(model) == theirs.params.size + observed


def test_known_columns_of_a_vector_autoregression() -> None:
    values, columns = series(200, 2, 3)
    model = fitted(values, columns, 3)
    theirs = VAR(values, exog=columns).fit(3, trend="c")
    np.testing.assert_allclose(model.head.linear.weight[:2, 6:].detach(), theirs.coefs_exog[:, 1:], rtol=1e-8)
    assert_least_squares(model, *design(values, columns, 3))


def test_several_sequences_are_pooled() -> None:
    parts = [series(rows, 2, 1, seed=rows) for rows in (50, 3, 1, 9, 70)]  # of which two have no step to predict
    model = Autoregression(2, 4, 1).double().fit(iter([pair(*part) for part in parts]))
    rows, wanted = zip(*(design(*part, 4) for part in parts if len(part[0]) > 4), strict=True)
    assert_least_squares(model, np.concatenate(rows), np.concatenate(wanted))


@pytest.mark.parametrize("block", [1, 2, 7, 64])
def test_blocks_change_nothing(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    values, columns = series(90, 2, 1)
    monkeypatch.setattr(Autoregression, "_rows", partialmethod(Autoregression._rows, block=block))
    assert_least_squares(fitted(values, columns, 5), *design(values, columns, 5))


def test_more_rows_than_a_block() -> None:
    values = np.random.default_rng(0).normal(size=(65_600, 1)).cumsum(0) % 7
    model = fitted(values, values[:, :0], 2)
    rows = np.concatenate([values[1:-1], values[:-2], np.ones((65_598, 1))], 1)
    assert_least_squares(model, rows, values[2:])


def test_arrays_tensors_and_what_the_data_gives(tmp_path: Path) -> None:
    values, columns = series(60, 2, 1)
    wanted = fitted(values, columns, 2).state_dict()
    inputs, targets = pair(values, columns)
    prepared = shifted(values, columns)
    inputs.tofile(tmp_path / "inputs")
    for given in (
        (torch.as_tensor(inputs), torch.as_tensor(targets)),
        (prepared.inputs, prepared.targets),
        (np.memmap(tmp_path / "inputs", inputs.dtype, "r", shape=inputs.shape), targets),
    ):
        found = Autoregression(2, 2, 1).double().fit([given]).state_dict()
        assert all(torch.equal(found[name], wanted[name]) for name in wanted)


def test_no_other_parameters_are_likelier() -> None:
    """The gradient of the likelihood is zero in the mean's coefficients and in the noise's constant."""
    values, columns = series(150, 2, 1)
    model = fitted(values, columns, 3)
    inputs, targets = (torch.as_tensor(part)[:, None] for part in pair(values, columns))
    negative_log_likelihood(model(inputs)[0], targets)[2:].mean().backward()
    weight, bias = model.head.linear.weight.grad, model.head.linear.bias.grad
    torch.testing.assert_close(weight[:2], torch.zeros_like(weight[:2]), rtol=0, atol=1e-10)
    torch.testing.assert_close(bias, torch.zeros_like(bias), rtol=0, atol=1e-10)
    assert weight[2:].abs().max() > 1e-4


@pytest.mark.parametrize("factor", [1e-3, 1.0, 1e4])
def test_noise_of_any_size(factor: float) -> None:
    values, columns = series(100)
    scale, wanted = (fitted(part, columns, 1).scale().item() for part in (factor * values, values))
    assert scale == pytest.approx(factor * wanted, rel=1e-8)


def test_noise_has_a_floor() -> None:
    halving = 0.5 ** np.arange(20.0)[:, None]
    model = fitted(halving, halving[:, :0], 1)
    assert model.scale().item() == pytest.approx(2e-4)
    assert log_likelihood(model, halving, halving[:, :0]).isfinite().all()


def test_single_precision_is_that_of_the_coefficients_alone() -> None:
    values, columns = series(300, 2)
    exact = fitted(values, columns, 2).coefficients()
    found = Autoregression(2, 2).fit([pair(values, columns)]).coefficients()
    for one, other in zip(found, exact, strict=True):
        torch.testing.assert_close(one, other.float(), rtol=1e-6, atol=1e-6)


def test_coefficients_that_rows_do_not_tell_apart_are_the_smallest() -> None:
    values, _ = series(80)
    model = fitted(values, np.ones((80, 1)), 1)  # beside the constant, the same once more
    rows, wanted = design(values, np.ones((80, 1)), 1)
    assert_least_squares(model, rows, wanted)  # numpy's are of the smallest norm too
    assert model.head.linear.weight[0, 1].item() == pytest.approx(model.head.linear.bias[0].item())


def by_hand(model: Autoregression, past: list[Tensor], known: Tensor) -> Tensor:
    """The mean of the next value: missing values are the first one."""
    constant, coefficients = model.coefficients()
    mean = constant + model.head.linear.weight[: model.observed, model.observed * model.order :] @ known
    for lag, matrix in enumerate(coefficients):
        mean = mean + matrix @ past[max(0, len(past) - 1 - lag)]
    return mean


@pytest.mark.parametrize("order", [1, 2, 5])
def test_the_state_is_the_last_values(order: int) -> None:
    values, columns = series(60, 2, 1)
    model = fitted(values, columns, order)
    inputs = torch.as_tensor(pair(values, columns)[0])[:12, None]
    whole, _ = model(inputs)
    state, past = model.initial_state(1), []
    for step in inputs:
        past.append(step[0, :2])
        distribution, state = model(step[None], state)
        wanted = by_hand(model, past, step[0, 2:])
        torch.testing.assert_close(distribution.mean[0, 0], wanted, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(whole.mean[len(past) - 1, 0], wanted, rtol=1e-12, atol=1e-12)
    assert torch.equal(state["history"][0], inputs[13 - order :, 0, :2])
    torch.testing.assert_close(distribution.stddev[0, 0], model.scale())


def test_forecasts_without_noise_follow_the_equation() -> None:
    waves = np.cos(0.3 * np.arange(100.0))[:, None]  # x_t = 2 cos(0.3) x_{t−1} − x_{t−2}
    model = fitted(waves, waves[:, :0], 2)
    constant, coefficients = model.coefficients()
    assert constant.item() == pytest.approx(0, abs=1e-9)
    assert coefficients.flatten().tolist() == pytest.approx([2 * math.cos(0.3), -1])
    torch.manual_seed(0)
    paths = model.forecast(torch.as_tensor(waves[:50, None]), 20, samples=50)
    np.testing.assert_allclose(paths.median(0).values[:, 0], waves[50:70], atol=1e-2)


REFUSED: list[tuple[Callable[[], object], type[Exception], str]] = [
    (lambda: Autoregression(0, 1), ConfigurationError, r"Autoregression\(0, order=1, known=0\): expected sizes above"),
    (lambda: Autoregression(1, 0), ConfigurationError, "order=0"),
    (lambda: Autoregression(1, 1, -1), ConfigurationError, "known=-1"),
    (lambda: fitted(*series(10), 5), DataError, "5 rows for the 6 coefficients of ar:5: lower the order"),
    (lambda: fitted(*series(4), 9), DataError, "0 rows for the 10 coefficients"),
    (lambda: Autoregression(1, 1).fit([]), DataError, "0 rows"),
    (lambda: fitted(*series(9, 2), 3), DataError, "6 rows for the 7 coefficients"),
    (
        lambda: Autoregression(2, 1, 1).fit([pair(*series(9, 2))]),
        ShapeError,
        r"inputs \[8, 2\] and targets \[8, 2\], expected \[time, 3\] and \[time, 2\]",
    ),
    (lambda: Autoregression(1, 1).fit([(np.zeros(8), np.zeros(8))]), ShapeError, r"inputs \[8\] and targets \[8\]"),
    (lambda: Autoregression(1, 1).fit([(np.zeros((9, 1)), np.zeros((8, 1)))]), ShapeError, r"inputs \[9, 1\]"),
]


@pytest.mark.parametrize(("call", "error", "words"), REFUSED)
def test_refusals(call: Callable[[], object], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words) as refusal:
        call()
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_missing_is_refused_and_changes_nothing(value: float) -> None:
    values, columns = series(50)
    model = fitted(values, columns, 2)
    before = {name: part.clone() for name, part in model.state_dict().items()}
    values[30] = value
    with pytest.raises(DataError, match=f"the value {value}: fill or leave out"):
        model.fit([pair(values, columns)])
    assert all(torch.equal(part, before[name]) for name, part in model.state_dict().items())
