"""Vectors of discrete variables: sums to one, relative frequencies, independence, counts of parameters, samples."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest
import torch
from torch import Tensor

from throughtime import ConfigurationError, ShapeError
from throughtime._errors import DataError
from throughtime.models import Chain, Density, DiscreteVectors, FullyIndependent, JointTable, NaiveBayes, ParameterCount
from throughtime.nn.contract import streams


def every(variables: int, sides: int = 2) -> Tensor:
    return torch.tensor(list(itertools.product(range(sides), repeat=variables)))


def dependent(batch: int, variables: int, sides: int = 2, seed: int = 0) -> Tensor:
    """Vectors in which each variable depends on all before it."""
    torch.manual_seed(seed)
    noise = torch.randint(sides, (batch, variables)) * (torch.rand(batch, variables) < 0.4)
    return noise.cumsum(1) % sides


def models(variables: int, sides: int = 2) -> list[DiscreteVectors]:
    three = NaiveBayes(variables, 3, sides)
    return [JointTable(variables, sides), FullyIndependent(variables, sides), Chain(variables, sides), three]


def kind(model: DiscreteVectors) -> str:
    return type(model).__name__


@pytest.mark.parametrize("model", [*models(8), *models(4, 3), *models(1, 5)], ids=kind)
def test_probabilities_of_all_vectors_sum_to_one(model: DiscreteVectors) -> None:
    vectors = every(model.variables, model.sides)
    x = dependent(300, model.variables, model.sides)
    for smoothing in (None, 0.0, 0.5):
        if smoothing is not None:
            assert model.fit(x, smoothing=smoothing) is model
        probabilities = model.log_prob(vectors).exp()
        assert probabilities.shape == (len(vectors),)
        assert probabilities.sum().item() == pytest.approx(1, abs=1e-12)
        if smoothing is None and not isinstance(model, NaiveBayes):
            torch.testing.assert_close(probabilities, torch.full_like(probabilities, 1 / len(vectors)))
        if smoothing:
            assert (probabilities > 0).all()


def test_by_hand() -> None:
    x, vectors = torch.tensor([[0, 0], [1, 1], [1, 1], [1, 0]]), every(2)
    assert JointTable(2).fit(x).log_prob(vectors).exp().tolist() == pytest.approx([1 / 4, 0, 1 / 4, 1 / 2])
    # One more of each of four vectors; then of each of two values.
    smooth = JointTable(2).fit(x, smoothing=1.0)
    assert smooth.log_prob(vectors).exp().tolist() == pytest.approx([2 / 8, 1 / 8, 2 / 8, 3 / 8])
    alone = FullyIndependent(2).fit(x)
    assert alone.log_prob(vectors).exp().tolist() == pytest.approx([1 / 8, 1 / 8, 3 / 8, 3 / 8])
    smooth = FullyIndependent(2).fit(x, smoothing=1.0)  # 2/6 and 4/6; 3/6 and 3/6
    assert smooth.log_prob(vectors).exp().tolist() == pytest.approx([1 / 6, 1 / 6, 1 / 3, 1 / 3])
    smooth = Chain(2).fit(x, smoothing=1.0)  # 2/6 and 4/6; after 0: 2/3 and 1/3; after 1: 2/5 and 3/5
    assert smooth.log_prob(vectors).exp().tolist() == pytest.approx([4 / 18, 2 / 18, 8 / 30, 12 / 30])
    model = NaiveBayes(2, 2).fit(x, torch.tensor([0, 0, 1, 1]), smoothing=1.0)
    # The class 0 has vectors 00 and 11: 1/2 and 1/2 each; the class 1 has 11 and 10: 1/4 and 3/4, 1/2 and 1/2.
    assert model.log_prob(vectors).exp().tolist() == pytest.approx([3 / 16, 3 / 16, 5 / 16, 5 / 16])
    assert model.posterior(torch.tensor([[1, 0]]))[0].tolist() == pytest.approx([2 / 5, 3 / 5])


@pytest.mark.parametrize("sides", [2, 3])
def test_maximum_likelihood_is_relative_frequency(sides: int) -> None:
    x = dependent(500, 4, sides)
    rows, vectors = [tuple(row) for row in x.tolist()], every(4, sides)
    joint = JointTable(4, sides).fit(x).log_prob(vectors).exp()
    whole = Counter(rows)
    assert joint.tolist() == pytest.approx([whole[tuple(vector)] / 500 for vector in vectors.tolist()])
    single = [Counter(row[i] for row in rows) for i in range(4)]
    pairs = [Counter((row[i], row[i + 1]) for row in rows) for i in range(3)]
    for vector in vectors.tolist():
        alone = along = single[0][vector[0]] / 500
        for i in range(3):
            alone *= single[i + 1][vector[i + 1]] / 500
            along *= pairs[i][vector[i], vector[i + 1]] / max(single[i][vector[i]], 1)
        given = torch.tensor([vector])
        assert FullyIndependent(4, sides).fit(x).log_prob(given).exp().item() == pytest.approx(alone)
        assert Chain(4, sides).fit(x).log_prob(given).exp().item() == pytest.approx(along)


def test_a_value_never_seen_is_followed_by_anything() -> None:
    model = Chain(3, 3).fit(torch.tensor([[0, 1, 0], [1, 1, 0]]))
    torch.testing.assert_close(model.transitions[1, 2].exp(), torch.full((3,), 1 / 3, dtype=torch.float64))


def conditional(model: DiscreteVectors, index: int, given: dict[int, int]) -> float:
    """P(x_index = 1 | given), by summing over all vectors."""
    vectors = every(model.variables)
    probabilities = model.log_prob(vectors).exp()
    chosen = torch.stack([vectors[:, i] == value for i, value in given.items()]).all(0)
    return float(probabilities[chosen & (vectors[:, index] == 1)].sum() / probabilities[chosen].sum())


def test_independence_holds_where_it_is_assumed_and_nowhere_else() -> None:
    x = dependent(400, 5)
    joint, chain, alone = (kind(5).fit(x, smoothing=1.0) for kind in (JointTable, Chain, FullyIndependent))
    pasts = [dict(enumerate(values)) for values in itertools.product((0, 1), repeat=4)]
    assert len({round(conditional(joint, 4, past), 9) for past in pasts}) > 4
    assert len({round(conditional(chain, 4, past), 9) for past in pasts}) == 2
    for past in pasts:
        assert conditional(chain, 4, past) == pytest.approx(conditional(chain, 4, {3: past[3]}))
    assert conditional(chain, 4, {2: 0}) != pytest.approx(conditional(chain, 4, {2: 1}))
    assert len({round(conditional(alone, 4, past), 9) for past in pasts}) == 1


def test_variables_are_independent_given_the_class_only() -> None:
    torch.manual_seed(0)
    classes = torch.randint(2, (400,))
    x = (torch.rand(400, 3) < torch.where(classes == 1, 0.9, 0.2)[:, None]).long()
    model = NaiveBayes(3, 2).fit(x, classes)
    assert conditional(model, 2, {0: 0}) != pytest.approx(conditional(model, 2, {0: 1}), abs=0.1)
    for label in (0, 1):
        chosen = x[classes == label]
        within = FullyIndependent(3).fit(chosen).log_prob(every(3)).exp() * len(chosen) / 400
        both = model.posterior(every(3))[:, label] * model.log_prob(every(3)).exp()
        torch.testing.assert_close(both, within)


def test_a_class_that_was_not_seen_is_found() -> None:
    torch.manual_seed(1)
    classes = (torch.rand(5000) < 0.3).long()
    chances = torch.tensor([[0.1, 0.2, 0.9, 0.1, 0.8], [0.8, 0.9, 0.3, 0.9, 0.1]])
    x = (torch.rand(5000, 5) < chances[classes]).long()
    model = NaiveBayes(5, 2)
    gains = [float(model.fit(x, iterations=times).log_prob(x).mean()) for times in (1, 2, 5, 20, 100)]
    assert gains == sorted(gains)
    seen = NaiveBayes(5, 2).fit(x, classes)
    assert model.fit(x).log_prob(x).mean() > seen.log_prob(x).mean()
    order = model.prior.argsort(descending=True)
    torch.testing.assert_close(model.prior[order].exp(), seen.prior.exp(), atol=0.03, rtol=0)
    torch.testing.assert_close(model.table[order, :, 1].exp(), chances.double(), atol=0.05, rtol=0)
    again = NaiveBayes(5, 2).fit(x)
    assert torch.equal(again.table, model.table)
    one = NaiveBayes(5, 1).fit(x)
    torch.testing.assert_close(one.log_prob(every(5)), FullyIndependent(5).fit(x).log_prob(every(5)))


def test_likelihood_falls_with_each_assumption() -> None:
    x = dependent(400, 5)
    joint, chain, alone = (kind(5).fit(x).log_prob(x).mean() for kind in (JointTable, Chain, FullyIndependent))
    assert joint > chain > alone


def test_parameters_are_counted() -> None:
    assert JointTable(1, 6).parameter_count == 5  # a die: m − 1
    assert ParameterCount.joint(3, 256).count == 256**3 - 1  # an RGB pixel
    for variables in (1, 2, 7):
        counts = [model.parameter_count for model in models(variables)]
        assert counts == [2**variables - 1, variables, 2 * variables - 1, 2 + 3 * variables]
    # Three dice: 6³ − 1; 5 each; 5, then 5 after each of 6 twice; 2 for the class, then 5 each in each of 3.
    assert [model.parameter_count for model in models(3, 6)] == [215, 15, 5 + 2 * 30, 2 + 45]
    assert str(ParameterCount.joint(3, 256)).startswith("mⁿ − 1 = 16,777,215: one for each of the 16,777,216 outcomes")
    assert str(Chain(4).explain()) == (
        "2n − 1 = 7: 1 for the first variable, and for each of the 3 others 1 given each of the 2 values of the one "
        "before it"
    )
    assert "n (m − 1) = 15" in str(FullyIndependent(3, 6).explain())
    assert "k − 1 + k n = 11: 2 for the 3 classes" in str(NaiveBayes(3, 3).explain())


@pytest.mark.parametrize("model", [*models(3), *models(2, 3)], ids=kind)
def test_free_numbers_are_as_many_as_said(model: DiscreteVectors) -> None:
    tables = list(model.buffers())
    assert sum(table.numel() - table.numel() // table.shape[-1] for table in tables) == model.parameter_count


@pytest.mark.parametrize("model", [*models(3), *models(3, 3)], ids=kind)
def test_samples_match_their_own_probabilities(model: DiscreteVectors) -> None:
    vectors = every(3, model.sides)
    model.fit(dependent(200, 3, model.sides), smoothing=1.0)
    expected = model.log_prob(vectors).exp() * 20_000
    torch.manual_seed(1)
    drawn = model.sample(20_000)
    assert drawn.shape == (20_000, 3)
    assert drawn.dtype == torch.int64
    counts = (drawn[:, None] == vectors).all(-1).sum(0)
    bound = {2: 29.9, 3: 61.6}[model.sides]  # 99.99 %, 7 or 26 degrees of freedom
    assert ((counts - expected).square() / expected).sum() < bound


@pytest.mark.parametrize("model", models(4, 3), ids=kind)
def test_saved_loaded_and_read_in_other_types(model: DiscreteVectors) -> None:
    x = dependent(100, 4, 3)
    model.fit(x)
    loaded = next(fresh for fresh in models(4, 3) if type(fresh) is type(model))
    loaded.load_state_dict(model.state_dict())
    wanted = model.log_prob(x)
    assert torch.equal(loaded.log_prob(x), wanted)
    for dtype in (torch.float32, torch.uint8):
        assert torch.equal(model.log_prob(x.to(dtype)), wanted)
    torch.testing.assert_close(model.float().log_prob(x), wanted.float())
    assert isinstance(model, Density)
    assert not streams(model)
    assert "4" in repr(model)


def test_binary_values_may_be_bool() -> None:
    x = dependent(50, 3).bool()
    for model in models(3):
        assert torch.equal(model.fit(x).log_prob(x), model.log_prob(x.long()))


@pytest.mark.parametrize("model", models(3), ids=kind)
def test_refusals(model: DiscreteVectors) -> None:
    name = type(model).__name__
    with pytest.raises(ShapeError, match=rf"{name} got x \[5, 4\], expected \[batch, 3\]"):
        model.log_prob(torch.zeros(5, 4))
    for wrong in (2, -1, 0.5, float("nan")):
        with pytest.raises(DataError, match="expected whole numbers 0 to 1"):
            model.fit(torch.tensor([[0, 1, wrong]]))
    with pytest.raises(DataError, match="no vectors to fit"):
        model.fit(torch.zeros(0, 3))
    for smoothing in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ConfigurationError, match="0 or more"):
            model.fit(torch.zeros(1, 3), smoothing=smoothing)
    assert model.log_prob(torch.zeros(0, 3)).shape == (0,)


def test_impossible_models_are_refused() -> None:
    for kind in (JointTable, FullyIndependent, Chain):
        for variables, sides in ((0, 2), (2, 1)):
            with pytest.raises(ConfigurationError, match="at least 1 variable, of at least 2 sides"):
                kind(variables, sides)
    with pytest.raises(ConfigurationError, match=r"2\^25 probabilities is too large.*assume something: Chain"):
        JointTable(25)
    with pytest.raises(ConfigurationError, match="at least 1 class"):
        NaiveBayes(3, 0)
    x = torch.zeros(4, 3)
    with pytest.raises(ShapeError, match=r"classes torch.int64 \[3\], expected integers \[4\], one a vector"):
        NaiveBayes(3, 2).fit(x, torch.zeros(3, dtype=torch.long))
    with pytest.raises(DataError, match="the class 2, expected 0 to 1"):
        NaiveBayes(3, 2).fit(x, torch.tensor([0, 1, 2, 0]))
