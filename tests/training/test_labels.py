"""From labelled sequences to a run: parts, weights, calibration, verdicts, and what is refused."""

import json

import numpy as np
import polars as pl
import pytest
import torch

from throughtime import ConfigurationError, DataError, UnsupportedError, load, prepare, resume
from throughtime.artifacts import ClassPredictions, LabelRun, Temperature, ValuePredictions, store
from throughtime.data import Labelled, LabelledLayout, read_labelled
from throughtime.evaluation import Classification, Regression, labelling
from throughtime.models import family
from throughtime.training import first_batch
from throughtime.training.defaults import family_defaults

SMALL = {"family": {"hidden_size": 8}, "training": {"epochs": 2}}
FAST = {"family": {"hidden_size": 12}, "training": {"epochs": 3}, "optimizer": {"learning_rate": 2e-2, "warmup": 5}}
PARTED = {"split": {"train": 0.7, "validation": 0.1, "test": 0.2}}


def pulses(cases=80, classes=("down", "flat", "up"), seed=0):
    """Ragged noise with a ramp of one of three slopes, beside a feature that tells nothing."""
    chance = np.random.default_rng(seed)
    slopes = chance.integers(0, 3, cases)
    steps = []
    for slope in slopes:
        length = chance.integers(5, 12)
        ramp = 20 + (slope - 1) * np.arange(length) + chance.normal(0, 0.2, length)
        steps.append(np.stack([ramp, chance.normal(5, 3, length)], 1))
    layout = LabelledLayout("long", "classify" if classes else "regress", ("a", "b"), classes)
    targets = slopes if classes else 100.0 + 10 * slopes
    return Labelled(tuple(steps), targets, tuple(f"case {case}" for case in range(cases)), layout)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("labels") / "run"
    prepare(pulses(), folder, task=PARTED, **FAST).fit()
    found = load(folder)
    assert isinstance(found, LabelRun)
    return found


@pytest.mark.parametrize("pooling", ["last", "mean", "attention"])
def test_slopes_are_learnt_by_every_pooling(pooling, tmp_path):
    training = prepare(pulses(), tmp_path / "run", model={"pooling": pooling}, **FAST)
    training.fit()
    found = labelling(training.run, pulses())
    assert isinstance(found, Classification)
    assert found.model.accuracy > 0.9 > 0.6 > found.baseline.accuracy
    assert found.cases == 16


def test_scales_and_counts_are_of_the_training_part_alone(run):
    learnt, _, _ = run.parts(pulses())
    steps = np.concatenate(learnt.sequences)
    np.testing.assert_allclose(run.scaler.means["inputs"], steps.mean(0))
    assert run.data["counts"] == np.bincount(learnt.targets).tolist()


def test_a_run_is_the_same_after_loading(run):
    data = pulses(7, seed=1)
    again = load(run.folder)
    np.testing.assert_array_equal(again.probabilities(data), run.probabilities(data))
    assert again.temperature == run.temperature
    assert again.temperature.cases == 8
    assert json.loads((run.folder / "temperature.json").read_text())["value"] == run.temperature.value
    assert run.summary()["temperature"]["cases"] == 8


def test_probabilities_are_those_of_each_sequence_alone(run):
    data = pulses(7, seed=1)
    together = run.probabilities(data)
    alone = [run.probabilities(data.take([case]))[0] for case in range(7)]
    np.testing.assert_allclose(together, alone, atol=1e-6)
    np.testing.assert_allclose(together.sum(1), 1)
    plain = Temperature().probabilities(run.logits(data))
    assert (plain.argmax(1) == together.argmax(1)).all()


def test_the_last_verdict_so_far_is_the_verdict(run):
    data = pulses(3, seed=2)
    for case, sequence in enumerate(data.sequences):
        course = run.probabilities_so_far(sequence)
        assert course.shape == (len(sequence), 3)
        np.testing.assert_allclose(course[-1], run.probabilities(data)[case], atol=1e-6)
        shorter = run.probabilities_so_far(sequence[:4])
        np.testing.assert_allclose(course[:4], shorter, atol=1e-6)


def test_predictions_are_a_table(run, tmp_path):
    predicted = run.predict(pulses(5, seed=3))
    assert isinstance(predicted, ClassPredictions)
    frame = predicted.frame()
    assert frame.columns == ["name", "predicted", "p(down)", "p(flat)", "p(up)", "truth"]
    assert frame["predicted"].to_list() == [("down", "flat", "up")[index] for index in predicted.predicted]
    for name in ("p.csv", "p.parquet", "p.png"):
        predicted.write(tmp_path / name)
        assert (tmp_path / name).stat().st_size


def test_features_are_a_vector_a_step_or_a_case(run):
    data = pulses(4, seed=3)
    cases, steps = (list(run.features(data, per=per)) for per in ("sequence", "step"))
    assert [frame.height for frame in cases] == [1] * 4
    assert [frame.height for frame in steps] == list(map(len, data.sequences))
    assert cases[2]["h_3"][0] == pytest.approx(steps[2]["h_3"][-1], abs=1e-6)


def test_values_have_intervals(tmp_path):
    data = pulses(classes=None)
    training = prepare(data, tmp_path / "run", **FAST)
    training.fit()
    run = load(tmp_path / "run")
    predicted = run.predict(data)
    assert isinstance(predicted, ValuePredictions)
    assert predicted.frame().columns[:4] == ["name", "predicted", "low_50", "high_50"]
    wide, narrow = predicted.intervals[0.95], predicted.intervals[0.5]
    assert (wide[:, 0] < narrow[:, 0]).all()
    assert (narrow[:, 1] < wide[:, 1]).all()
    found = labelling(run, data)
    assert isinstance(found, Regression)
    assert found.model.mae < 4 < found.baseline.mae
    predicted.write(tmp_path / "p.png")
    assert not (tmp_path / "run" / "temperature.json").exists()
    with pytest.raises(UnsupportedError, match="it has no classes"):
        run.probabilities(data)


@pytest.mark.parametrize(("cases", "parts"), [(299, (239, 0, 60)), (300, (210, 30, 60))])
def test_a_few_cases_choose_nothing(cases, parts, tmp_path):
    data = pulses(cases)
    training = prepare(data, tmp_path / "run", **SMALL)
    assert isinstance(training.run, LabelRun)
    assert tuple(map(len, training.run.parts(data))) == parts
    assert (training.validation is None) == (cases < 300)


@pytest.mark.parametrize(("features", "kernel"), [(("a",), 9), (("a", "b"), 3)])
def test_one_column_is_read_by_longer_kernels(features, kernel):
    data = pulses(4)
    layout = LabelledLayout("long", "classify", features, data.layout.classes)
    sequences = tuple(steps[:, : len(features)] for steps in data.sequences)
    data = Labelled(sequences, data.targets, data.names, layout)
    assert family_defaults(data).kernel_size == kernel
    assert family_defaults(data, kernel_size=5).kernel_size == 5
    assert family_defaults(data, name="gru") == family({"name": "gru"})


def test_balanced_weights_count_in_the_loss(tmp_path):
    data = pulses().take([*range(40), *(case for case in range(40, 80) if pulses().targets[case] == 0)])
    training = prepare(data, tmp_path / "run", task={"class_weights": "balanced"}, **SMALL)
    counts = np.array(training.run.data["counts"])
    total = np.zeros(3)
    for batch in training.training.source.batches(0):
        last = batch.weights.argmax(0)
        targets = batch.targets[last, torch.arange(len(last))]
        total += np.bincount(targets, batch.weights.sum(0), 3)
    np.testing.assert_allclose(total, counts.sum() / 3, rtol=1e-6)
    assert len(set(counts)) > 1


def test_a_stopped_training_goes_on(tmp_path):
    data = pulses(30)
    rows = [
        {"id": name, "a": a, "b": b, "label": label}
        for name, steps, label in zip(data.names, data.sequences, data.labels, strict=True)
        for a, b in steps
    ]
    pl.DataFrame(rows).write_csv(tmp_path / "pulses.csv")
    read = read_labelled(tmp_path / "pulses.csv")
    same = {"task": PARTED, "family": {"hidden_size": 8, "dropout": 0.3}, "optimizer": {"schedule": "constant"}}
    prepare(read, tmp_path / "whole", training={"epochs": 2}, **same).fit()
    prepare(read, tmp_path / "pieces", training={"epochs": 1}, **same).fit()
    further = resume(load(tmp_path / "pieces", weights=False), epochs=2)
    assert further.position.epoch == 1
    assert further.fit() == "epochs"
    wanted, found = (store.read_tensors(tmp_path / name / store.CHECKPOINT)[0] for name in ("whole", "pieces"))
    assert wanted.keys() == found.keys()
    assert [name for name in wanted if not torch.equal(wanted[name], found[name])] == []
    assert any("running" in name for name in wanted)
    assert load(tmp_path / "pieces").temperature == load(tmp_path / "whole").temperature
    assert load(tmp_path / "pieces").temperature.cases == 3
    assert labelling(further.run, further.run.read()).cases == 6


def test_a_temperature_of_other_weights_is_not_kept(tmp_path):
    training = prepare(pulses(), tmp_path / "run", task=PARTED, **FAST)
    training.fit()
    training.run.save_weights()
    assert not (tmp_path / "run" / "temperature.json").exists()
    assert training.run.temperature == load(tmp_path / "run").temperature == Temperature()


def test_everything_may_train(tmp_path):
    training = prepare(pulses(12), tmp_path / "run", task={"split": {"train": 1, "validation": 0, "test": 0}}, **SMALL)
    training.fit()
    run = load(tmp_path / "run")
    assert run.temperature == Temperature()
    assert labelling(run, pulses(5), whole=True).part == "the frame"
    with pytest.raises(DataError, match=r"has no test part: name a FILE"):
        labelling(run, pulses(12))


def test_a_batch_to_look_at_gradients_on(run):
    data = pulses(40)
    batch = first_batch(run, data)
    assert batch.inputs.shape[1:] == (16, 2)
    assert batch.weights.sum() == 16
    assert len(first_batch(run, data, steps=4).inputs) == 4
    with pytest.raises(DataError, match=r"99 are asked for: from 2 to"):
        first_batch(run, data, steps=99)


def test_refusals(run, tmp_path):
    data = pulses(12)
    with pytest.raises(UnsupportedError, match=r"throughtime predict .* FILE gives the probability of each class"):
        run.surprise(data)
    unlabelled = Labelled(data.sequences, None, data.names, data.layout)
    assert run.predict(unlabelled).truth is None
    with pytest.raises(DataError, match="there are no labels to compare with in the frame"):
        labelling(run, unlabelled, whole=True)
    with pytest.raises(DataError, match="have no labels, and there is nothing to learn"):
        prepare(unlabelled, tmp_path / "run", **SMALL)
    with pytest.raises(ConfigurationError, match="ar foretells next steps and labels no whole sequence"):
        prepare(data, tmp_path / "run", family="ar:2")
    with pytest.raises(ConfigurationError, match=r"head = 'normal': classes have a categorical one"):
        prepare(data, tmp_path / "run", model={"head": "normal"})
    with pytest.raises(ConfigurationError, match="class_weights are for classes: a regression has none"):
        prepare(pulses(12, None), tmp_path / "run", task={"class_weights": "balanced"})
    rare = Labelled(data.sequences, np.array([0] * 11 + [1]), data.names, data.layout)
    with pytest.raises(DataError, match=r"class 'up' has no case in the training part"):
        prepare(rare, tmp_path / "run", **SMALL)
    with pytest.raises(ConfigurationError, match="there is no validation part to wait for"):
        prepare(data, tmp_path / "run", training={"patience": 1})
    with pytest.raises(DataError, match=r"leave the validation part empty"):
        prepare(pulses(3), tmp_path / "run", task=PARTED, **SMALL)
    assert not (tmp_path / "run").exists()
