"""Labelled sequences in parts and in batches."""

import numpy as np
import pytest

from throughtime import DataError
from throughtime.data import Labelled, LabelledLayout, Split, Verdicts, balanced, parted


def labelled(targets, classes=("a", "b", "c")):
    layout = LabelledLayout("ts", "classify" if classes else "regress", ("value",), classes)
    steps = tuple(np.full((1 + case % 3, 1), float(case)) for case in range(len(targets)))
    return Labelled(steps, np.array(targets), tuple(map(str, range(len(targets)))), layout)


def test_every_part_has_of_every_class_its_share():
    data = labelled([0] * 30 + [1] * 20 + [2] * 10)
    for seed in range(3):
        parts = parted(data, Split(0.5, 0.2, 0.3), seed)
        assert sorted(name for part in parts for name in part.names) == sorted(data.names)
        for part, share in zip(parts, (0.5, 0.2, 0.3), strict=True):
            np.testing.assert_allclose(np.bincount(part.targets), np.array([30, 20, 10]) * share, atol=1)


def test_the_seed_alone_decides_the_parts():
    data = labelled([0, 1] * 20)
    first, again, other = (parted(data, Split(), seed)[0].names for seed in (1, 1, 2))
    assert first == again != other


def test_numbers_are_shuffled():
    data = labelled(np.arange(20.0), classes=None)
    train, validation, test = parted(data, Split(1, 4, 6), seed=0)
    assert (len(train), len(validation), len(test)) == (10, 4, 6)
    assert sorted(np.concatenate([train.targets, validation.targets, test.targets])) == list(range(20))
    assert train.targets.tolist() != sorted(train.targets)


def test_an_empty_part_is_refused():
    with pytest.raises(DataError, match=r"3 rows leave the validation part empty"):
        parted(labelled([0, 1, 2]), Split(), 0)


def test_the_last_step_alone_counts():
    data = labelled([0, 1, 2, 1])
    source = Verdicts(list(data.sequences), data.targets, 4, class_weights=np.array([1.0, 2.0, 3.0]))
    (batch,) = source.batches(0)
    assert batch.lengths.tolist() == [1, 2, 3, 1]
    assert batch.weights.T.tolist() == [[1, 0, 0], [0, 2, 0], [0, 0, 3], [2, 0, 0]]
    assert [batch.targets[length - 1, case] for case, length in enumerate(batch.lengths)] == [0, 1, 2, 1]


def test_sequences_of_one_length_have_no_lengths():
    (batch,) = Verdicts([np.zeros((3, 2))] * 2, np.array([[0.5], [1.5]]), 2).batches(0)
    assert batch.lengths is None
    assert batch.weights.sum(0).tolist() == [1, 1]
    assert batch.weights[2].tolist() == [1, 1]
    assert batch.targets.shape == (3, 2, 1)


def test_epochs_are_shuffled_and_can_be_gone_back_to():
    source = Verdicts([np.full((1, 1), float(case)) for case in range(9)], np.arange(9), 2, seed=4)
    epochs = [[batch.targets[0].tolist() for batch in source.batches(epoch)] for epoch in (0, 1, 0)]
    assert epochs[0] == epochs[2] != epochs[1]
    assert [batch.targets[0].tolist() for batch in source.batches(0, start=3)] == epochs[0][3:]
    assert not source.continues(1)


def test_a_case_without_a_step_is_refused():
    with pytest.raises(DataError, match=r"sequence 1 of 2 has no step"):
        Verdicts([np.zeros((1, 1)), np.zeros((0, 1))], np.array([0, 1]), 2)


def test_balanced_classes_count_alike():
    targets = np.array([0] * 6 + [1] * 3 + [3])
    weights = balanced(targets, 4)
    sums = np.bincount(targets, weights[targets], 4)
    np.testing.assert_allclose(sums, [10 / 3, 10 / 3, 0, 10 / 3])
