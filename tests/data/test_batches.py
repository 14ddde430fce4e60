import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from throughtime._errors import ConfigurationError, DataError, ShapeError
from throughtime.data import Pair, Sequences, Streams, Windows, shifted
from throughtime.data.batches.pair import Joined
from throughtime.data.batches.permutation import permuted


def same(a, b):
    fields = ("inputs", "targets", "lengths", "resets", "weights")
    return all(
        (getattr(a, name) is None and getattr(b, name) is None) or torch.equal(getattr(a, name), getattr(b, name))
        for name in fields
    )


def counted(batch):
    """The targets that count in the loss, each with its weight."""
    time = torch.arange(batch.targets.shape[0])[:, None]
    weights = torch.ones(batch.targets.shape[:2]) if batch.weights is None else batch.weights.clone()
    if batch.lengths is not None:
        weights[time >= batch.lengths] = 0
    return [(int(batch.targets[t, b].flatten()[0]), float(weights[t, b])) for t, b in torch.nonzero(weights).tolist()]


def ramp(length, first=0):
    """A pair whose target at row t is t + first."""
    return Pair(np.arange(first, first + length)[:, None] - 1.0, np.arange(first, first + length)[:, None] * 1.0)


def test_shifted_tokens_are_views():
    tokens = np.arange(6, dtype=np.uint8)
    pair = shifted(tokens)
    assert np.shares_memory(pair.inputs, tokens)
    assert np.shares_memory(pair.targets, tokens)
    assert pair.inputs.tolist() == [0, 1, 2, 3, 4]
    assert pair.targets.tolist() == [1, 2, 3, 4, 5]


def test_shifted_values_with_what_is_known_of_the_target_s_own_time():
    observed = np.array([[10.0], [11.0], [12.0]])
    known = np.array([[0.0], [1.0], [2.0]])
    pair = shifted(observed, known)
    assert pair.inputs[:].tolist() == [[10, 1], [11, 2]]
    assert pair.targets.tolist() == [[11], [12]]
    assert pair.inputs.shape == (2, 2)
    assert np.shares_memory(pair.targets, observed)


def test_shifted_values_of_one_axis_become_one_feature():
    assert shifted(np.array([1.0, 2.0])).inputs.shape == (1, 1)


def test_shifted_refuses_what_does_not_fit():
    with pytest.raises(ShapeError, match="1 has no step"):
        shifted(np.zeros((1, 2)))
    with pytest.raises(ShapeError, match="known has 4 steps and observed 3"):
        shifted(np.zeros((3, 1)), np.zeros((4, 1)))
    with pytest.raises(ShapeError, match=r"\[2, 3\] steps cannot stand"):
        Joined((np.zeros((2, 1)), np.zeros((3, 1))))
    with pytest.raises(ShapeError, match="3 inputs and 2 targets"):
        Pair(np.zeros(3), np.zeros(2))


@given(length=st.integers(1, 90), batch_size=st.integers(1, 9), steps=st.integers(1, 12), start=st.integers(0, 5))
def test_streams_give_each_target_once_in_order_and_go_on_anywhere(length, batch_size, steps, start):
    if length < batch_size:
        with pytest.raises(DataError, match=f"{length} steps cannot make {batch_size} streams"):
            Streams(ramp(length), batch_size, steps)
        return
    streams = Streams(ramp(length), batch_size, steps)
    batches = list(streams.batches(0))
    assert len(batches) == len(streams)
    assert sorted(target for batch in batches for target, _ in counted(batch)) == list(range(length))
    assert {weight for batch in batches for _, weight in counted(batch)} == {1.0}
    assert all(map(same, streams.batches(3, start), batches[start:]))
    assert len(list(streams.batches(0, start))) == max(len(batches) - start, 0)
    for stream in range(batch_size):
        seen = []
        for batch in batches:
            stop = batch.targets.shape[0] if batch.lengths is None else int(batch.lengths[stream])
            seen += batch.targets[:stop, stream].flatten().int().tolist()
        assert seen == list(range(seen[0], seen[0] + len(seen)))
    assert [streams.continues(index) for index in range(len(streams))] == [False] + [True] * (len(streams) - 1)


def test_batches_cast_to_what_a_network_reads():
    batch = next(Streams(shifted(np.arange(9, dtype=np.uint16)), 2, 3).batches(0))
    assert batch.inputs.dtype == torch.int64
    batch = next(Streams(shifted(np.zeros((9, 2))), 2, 3).batches(0))
    assert batch.inputs.dtype == torch.float32
    assert batch.inputs.shape == (3, 2, 2)


def test_windows_cover_every_target_of_the_part_and_none_beyond():
    windows = Windows([ramp(20)], lookback=4, horizon=3, batch_size=5, start=[10], stop=[16], count_lookback=False)
    targets = [target for batch in windows.batches(0) for target, _ in counted(batch)]
    assert set(targets) == set(range(10, 16))
    first = next(windows.batches(0))
    assert first.targets[:, 0].flatten().tolist() == [6, 7, 8, 9, 10, 11, 12]
    assert first.weights[:, 0].tolist() == [0, 0, 0, 0, 1, 1, 1]


def test_counted_lookback_stays_inside_the_part_too():
    windows = Windows([ramp(20)], lookback=4, horizon=2, batch_size=50, start=[10], stop=[18], count_lookback=True)
    batch = next(windows.batches(0))
    assert batch.weights is None
    assert float(batch.targets.min()) == 10
    assert float(batch.targets.max()) == 17
    assert len(windows) == 1
    assert windows.total == 3


@given(
    lengths=st.lists(st.integers(4, 40), min_size=1, max_size=4),
    lookback=st.integers(1, 8),
    horizon=st.integers(1, 3),
    batch_size=st.integers(1, 7),
    stride=st.integers(1, 3),
    seed=st.one_of(st.none(), st.integers(0, 5)),
    per_epoch=st.one_of(st.none(), st.integers(1, 20)),
    count_lookback=st.booleans(),
    data=st.data(),
)
def test_windows_resume_exactly_and_never_cross_a_boundary(
    lengths, lookback, horizon, batch_size, stride, seed, per_epoch, count_lookback, data
):
    pairs = [ramp(length, 1000 * index) for index, length in enumerate(lengths)]
    start = [data.draw(st.integers(0, length - horizon - 1)) for length in lengths]
    stop = [data.draw(st.integers(first + horizon + 1, length)) for first, length in zip(start, lengths, strict=True)]
    windows = Windows(
        pairs,
        lookback,
        horizon,
        batch_size,
        start=start,
        stop=stop,
        stride=stride,
        seed=seed,
        per_epoch=per_epoch,
        count_lookback=count_lookback,
    )
    batches = list(windows.batches(2))
    assert len(batches) == len(windows)
    resume = data.draw(st.integers(0, len(batches)))
    again = list(windows.batches(2, resume))
    assert len(again) == len(batches) - resume
    assert all(map(same, again, batches[resume:]))
    for batch in batches:
        for target, weight in counted(batch):
            pair, row = divmod(target, 1000)
            assert start[pair] <= row < stop[pair]
            assert weight == 1
    places = [place for index in range(len(windows)) for place in windows.places(2, index)]
    assert len(set(places)) == len(places) == windows.count


def test_short_sequences_give_one_padded_window():
    windows = Windows([ramp(12), ramp(4)], lookback=5, horizon=2, batch_size=100, count_lookback=False)
    batch = next(windows.batches(0))
    assert batch.lengths.tolist() == [7] * 6 + [4]
    assert batch.targets[:, -1].flatten().tolist() == [0, 1, 2, 3, 0, 0, 0]
    assert batch.weights[:, -1].tolist() == [0, 0, 1, 1, 0, 0, 0]


def test_shuffled_windows_differ_by_epoch_and_a_subset_is_fresh_each_time():
    windows = Windows([ramp(200)], 4, 1, 8, seed=1, per_epoch=16, count_lookback=False)
    first, second = ([place for index in range(2) for place in windows.places(epoch, index)] for epoch in (0, 1))
    assert len(first) == 16
    assert first != second
    assert set(first) != set(second)


def test_windows_in_order_take_an_even_subset():
    windows = Windows([ramp(105)], 4, 2, 10, per_epoch=10, count_lookback=False)
    assert [row for _, row in windows.places(0, 0)] == list(range(4, 104, 10))


def test_windows_refuse_what_has_no_room():
    with pytest.raises(DataError, match="sequence 1 has 2 steps to predict, from 0 to 2: a horizon of 2 needs"):
        Windows([ramp(9), ramp(2)], 3, 2, 4, count_lookback=False)
    with pytest.raises(ConfigurationError, match="horizon=0"):
        Windows([ramp(9)], 3, 0, 4, count_lookback=False)
    with pytest.raises(ConfigurationError, match="start has 2 rows for 1 pairs"):
        Windows([ramp(9)], 3, 1, 4, start=[0, 0], count_lookback=False)
    with pytest.raises(DataError, match="no sequence"):
        Windows([], 3, 1, 4, count_lookback=False)


def test_sequences_are_whole_and_resumable():
    pairs = [ramp(length, 100 * length) for length in (3, 5, 1, 4)]
    source = Sequences(pairs, 3, seed=7)
    batches = list(source.batches(1))
    assert len(source) == len(batches) == 2
    assert sorted(t for batch in batches for t, _ in counted(batch)) == sorted(
        int(t) for pair in pairs for t in pair.targets[:, 0]
    )
    assert same(next(source.batches(1, 1)), batches[1])
    assert not source.continues(1)


def test_sequences_refuse_an_empty_one():
    with pytest.raises(DataError, match="sequence 1 of 2 has no step"):
        Sequences([ramp(2), ramp(0)], 2)
    with pytest.raises(DataError, match="no sequence"):
        Sequences([], 2)


@given(size=st.integers(1, 300), key=st.tuples(st.integers(0, 99), st.integers(0, 99)))
def test_permuted_is_a_permutation(size, key):
    assert sorted(permuted(np.arange(size), size, key).tolist()) == list(range(size))


def test_permutations_are_spread_evenly():
    firsts = [int(permuted(np.arange(1), 10, (0, epoch))[0]) for epoch in range(2000)]
    counts = np.bincount(firsts, minlength=10)
    assert ((counts - 200) ** 2 / 200).sum() < 27.9  # the 99.9 % point of chi square with 9 degrees of freedom
