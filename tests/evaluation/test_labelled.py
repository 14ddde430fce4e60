"""Scores of labels, against scikit-learn."""

import numpy as np
import pytest
from sklearn import metrics

from throughtime import DataError
from throughtime.artifacts import ValuePredictions
from throughtime.evaluation import classified, regressed
from throughtime.evaluation.classification import class_scores


def drawn(cases=60, classes=5, seed=0):
    chance = np.random.default_rng(seed)
    return chance.dirichlet(np.full(classes, 0.4), cases), chance.integers(0, classes - 1, cases)


@pytest.mark.parametrize("seed", range(4))
def test_scores_equal_those_of_scikit_learn(seed):
    probabilities, truth = drawn(seed=seed)
    told = probabilities.argmax(1)
    found = class_scores(probabilities, truth)
    assert found.accuracy == metrics.accuracy_score(truth, told)
    with pytest.warns(UserWarning, match="y_pred contains classes not in y_true"):
        assert found.balanced_accuracy == pytest.approx(metrics.balanced_accuracy_score(truth, told))
    assert found.macro_f1 == pytest.approx(metrics.f1_score(truth, told, average="macro"))
    assert found.log_loss == pytest.approx(metrics.log_loss(truth, probabilities, labels=range(5)))


def test_confusion_equals_that_of_scikit_learn():
    probabilities, truth = drawn()
    found = classified(probabilities, probabilities, truth, tuple("abcde"), np.full(5, 0.2))
    wanted = metrics.confusion_matrix(truth, probabilities.argmax(1), labels=range(5))
    assert np.array_equal(found.confusion, wanted)
    content = found.to_dict()
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(
        truth, probabilities.argmax(1), labels=range(5), zero_division=0
    )
    for index, name in enumerate("abcde"):
        each = content["by_class"][name]
        assert [each["precision"], each["recall"], each["f1"]] == pytest.approx(
            [precision[index], recall[index], f1[index]]
        )
    assert content["cases"] == 60
    assert sum(count for count, _, _ in found.reliability) == 60


def test_the_baseline_looks_at_no_case():
    probabilities, truth = drawn()
    frequencies = np.array([0.1, 0.6, 0.1, 0.1, 0.1])
    found = classified(probabilities, probabilities, truth, tuple("abcde"), frequencies)
    assert found.baseline.accuracy == (truth == 1).mean()
    assert found.baseline.log_loss == pytest.approx(-np.log(frequencies[truth]).mean())


@pytest.mark.parametrize("classes", [2, 10, 30])
def test_pictures_and_tables_for_few_and_many_classes(classes):
    probabilities, truth = drawn(400, classes)
    names = tuple(f"class {index}" for index in range(classes))
    found = classified(probabilities, probabilities, truth, names, np.full(classes, 1 / classes), temperature=1.3)
    confusion, above, below = found.plot().axes
    assert len(confusion.texts) == (np.count_nonzero(found.confusion) if classes <= 20 else 0)
    assert [tick.get_text() for tick in confusion.get_yticklabels()] == list(names)
    assert sum(bar.get_height() for bar in below.patches) == 400
    assert "temperature 1.30" in found.table().caption
    assert above.get_title(loc="left").startswith("calibration error")


def test_regression_equals_scikit_learn():
    chance = np.random.default_rng(0)
    truth = chance.normal(size=50)
    told = truth + chance.normal(0, 0.3, 50)
    ends = {0.8: np.stack([told - 0.4, told + 0.4], 1), 0.95: np.stack([told - 0.6, told + 0.6], 1)}
    found = regressed(ValuePredictions(tuple(map(str, range(50))), told, ends, truth), mean=0.25)
    assert found.model.mae == pytest.approx(metrics.mean_absolute_error(truth, told))
    assert found.model.rmse == pytest.approx(metrics.root_mean_squared_error(truth, told))
    assert found.model.r2 == pytest.approx(metrics.r2_score(truth, told))
    assert found.baseline.r2 == pytest.approx(metrics.r2_score(truth, np.full(50, 0.25)))
    assert found.coverage[80] == (np.abs(truth - told) <= 0.4).mean()
    assert found.plot().axes[0].get_xlabel() == "true"
    assert "R²" in list(found.table().columns[0].cells)


def test_nothing_to_compare_is_refused():
    with pytest.raises(DataError, match="the test part has no case"):
        classified(np.zeros((0, 2)), np.zeros((0, 2)), np.zeros(0, int), ("a", "b"), np.array([0.5, 0.5]))
    with pytest.raises(DataError, match="no case with a value"):
        regressed(ValuePredictions(("a",), np.zeros(1), {0.95: np.zeros((1, 2))}), 0.0)
