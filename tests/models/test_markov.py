"""Kneser-Ney by hand and by dictionaries; one model, whole, in pieces, ragged, sampled and saved."""

from __future__ import annotations

import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from throughtime import ConfigurationError, ShapeError
from throughtime._errors import ArtifactError, DataError
from throughtime.models import Decoding, Density, Markov, Streaming, _ngrams
from throughtime.nn.contract import batch_axes, streams

Probability = Callable[[int, tuple[int, ...]], float]


def text(length: int, vocabulary: int, seed: int) -> np.ndarray:
    """Symbols of which some are rare, with repetitions, as language has them."""
    generator = np.random.default_rng(seed)
    steps = generator.choice([0, 0, 0, 1, 1, 2, 5], size=length)
    return np.cumsum(steps) * generator.choice([1, 1, 1, 2], size=length) % vocabulary


def slowly(sequences: list[list[int]], vocabulary: int, order: int, modified: bool) -> Probability:
    """P(w | context) from dictionaries, one n-gram at a time."""
    levels: list[dict[tuple[int, ...], Counter]] = []
    discounts = []
    for length in range(order + 1):
        came: Counter = Counter()
        before = defaultdict(set)
        for sequence in sequences:
            for start in range(len(sequence) - length):
                ngram = tuple(sequence[start : start + length + 1])
                came[ngram] += 1
                before[ngram].add(sequence[start - 1] if start else "beginning")
        counts = came if length == order else Counter({ngram: len(symbols) for ngram, symbols in before.items()})
        table: dict[tuple[int, ...], Counter] = defaultdict(Counter)
        for ngram, count in counts.items():
            table[ngram[:-1]][ngram[-1]] = count
        levels.append(table)
        discounts.append(slow_discounts(Counter(counts.values()), modified))

    def probability(symbol: int, context: tuple[int, ...]) -> float:
        context = context[len(context) - order :] if len(context) > order else context
        lower = probability(symbol, context[1:]) if context else 1 / vocabulary
        followers = levels[len(context)].get(context)
        if not followers:
            return lower
        taken = discounts[len(context)]
        total = sum(followers.values())
        passed = sum(taken[min(count, 3)] for count in followers.values()) / total
        count = followers.get(symbol, 0)
        kept = (count - taken[min(count, 3)]) / total if count else 0.0
        return kept + passed * lower

    return probability


def slow_discounts(n: Counter, modified: bool) -> dict[int, float]:
    if not modified:
        return dict.fromkeys((1, 2, 3), n[1] / (n[1] + 2 * n[2]) if n[1] and n[2] else 0.5)
    if n[1] and n[2] and n[3]:
        y = n[1] / (n[1] + 2 * n[2])
        taken = {i: i - (i + 1) * y * n[i + 1] / n[i] for i in (1, 2, 3)}
        if min(taken.values()) > 0:
            return taken
    return {1: 0.5, 2: 1.0, 3: 1.5}


def slow_rows(probability: Probability, vocabulary: int, sequence: list[int]) -> Tensor:
    """ln P of every symbol before each of the sequence's and after the last, [time + 1, vocabulary]."""
    rows = [
        [math.log(probability(symbol, tuple(sequence[:step]))) for symbol in range(vocabulary)]
        for step in range(len(sequence) + 1)
    ]
    return torch.tensor(rows, dtype=torch.float64)


def test_plain_kneser_ney_by_hand() -> None:
    # 0 1 0 2 0 1: the pairs are 01 twice, 10, 02 and 20 once: D = 3 / (3 + 2 · 1) = 3/5.
    # Before 0 stood 1, 2 and the beginning, before 1 only 0, before 2 only 0: counts 3, 1, 1, none of them 2: D = ½.
    model = Markov(3, 1).fit([np.array([0, 1, 0, 2, 0, 1])], modified=False)
    alone = [2.5 / 5 + 0.3 / 3, 0.5 / 5 + 0.3 / 3, 0.5 / 5 + 0.3 / 3]  # γ = 3 · ½ / 5
    assert alone == pytest.approx([0.6, 0.2, 0.2])
    wanted = torch.tensor(
        [
            [0.4 * 0.6, 1.4 / 3 + 0.4 * 0.2, 0.4 / 3 + 0.4 * 0.2],  # after 0, which came 3 times: γ = 2 · 3/5 / 3
            [0.4 + 0.6 * 0.6, 0.6 * 0.2, 0.6 * 0.2],  # after 1, which was followed once: γ = 3/5
            [0.4 + 0.6 * 0.6, 0.6 * 0.2, 0.6 * 0.2],  # after 2, likewise
        ],
        dtype=torch.float64,
    )
    distribution, _ = model(torch.tensor([[0, 1, 2]]))
    torch.testing.assert_close(distribution.probs[0], wanted, rtol=1e-13, atol=0)
    first = torch.tensor(alone, dtype=torch.float64).log()
    torch.testing.assert_close(model.log_prob(torch.tensor([[0, 1, 2]]))[0], first, rtol=1e-13, atol=0)


def test_modified_kneser_ney_by_hand() -> None:
    # The same text is too short for three discounts: 1/2, 1 and 3/2 on both levels.
    model = Markov(3, 1).fit([np.array([0, 1, 0, 2, 0, 1])])
    alone = [1.5 / 5 + 0.5 / 3, 0.5 / 5 + 0.5 / 3, 0.5 / 5 + 0.5 / 3]  # γ = (3/2 + 1/2 + 1/2) / 5
    wanted = [0.5 * alone[0], 1 / 3 + 0.5 * alone[1], 0.5 / 3 + 0.5 * alone[2]]  # γ = (1 + 1/2) / 3
    assert model(torch.tensor([[0]]))[0].probs[0, 0].tolist() == pytest.approx(wanted, rel=1e-13)


def test_discounts_by_hand() -> None:
    counts = np.repeat([1, 2, 3, 4, 9], [4, 3, 1, 1, 5])
    assert _ngrams.discounts(counts, modified=False) == pytest.approx((0.4, 0.4, 0.4))  # 4 / (4 + 2 · 3)
    assert _ngrams.discounts(counts, modified=True) == pytest.approx((1 - 0.8 * 3 / 4, 2 - 1.2 / 3, 3 - 1.6))
    for few in ([1, 1, 3], [2, 3], [5], []):
        assert _ngrams.discounts(np.array(few, np.int64), modified=False) == (0.5, 0.5, 0.5)
        assert _ngrams.discounts(np.array(few, np.int64), modified=True) == (0.5, 1.0, 1.5)
    rising = np.repeat([1, 2, 3, 4], [2, 1, 1, 9])  # 3 − 4 · ½ · 9 < 0
    assert _ngrams.discounts(rising, modified=True) == (0.5, 1.0, 1.5)


@pytest.mark.parametrize("modified", [False, True])
@pytest.mark.parametrize("order", range(5))
def test_against_dictionaries(order: int, modified: bool) -> None:
    for seed, (length, vocabulary) in enumerate([(300, 7), (40, 3), (3, 4), (1, 2), (200, 1)]):
        known = text(length, vocabulary, seed)
        probability = slowly([known.tolist()], vocabulary, order, modified)
        model = Markov(vocabulary, order).fit([known], modified=modified)
        x = text(25, vocabulary, seed + 100)
        wanted = slow_rows(probability, vocabulary, x.tolist())
        column = torch.tensor(x)[:, None]
        logits = model(column)[0].logits[:, 0]
        torch.testing.assert_close(logits, wanted[1:], rtol=0, atol=1e-12)
        torch.testing.assert_close(model.log_prob(column), wanted[:-1].gather(1, column), rtol=0, atol=1e-12)
        assert torch.equal(model.score(column), -model.log_prob(column))


def test_sequences_apart_against_dictionaries() -> None:
    pieces = [text(length, 4, length) for length in (9, 1, 0, 30, 2, 3, 14)]
    probability = slowly([piece.tolist() for piece in pieces], 4, 3, True)
    model = Markov(4, 3).fit(pieces, separate=True)
    x = text(30, 4, 5)
    wanted = slow_rows(probability, 4, x.tolist())[1:]
    torch.testing.assert_close(model(torch.tensor(x)[:, None])[0].logits[:, 0], wanted, rtol=0, atol=1e-12)
    joined = Markov(4, 3).fit(pieces)
    assert joined.parameter_count != model.parameter_count


@pytest.mark.parametrize("order", [0, 1, 3])
def test_probabilities_sum_to_one(order: int) -> None:
    model = Markov(3, order).fit([text(60, 3, 0)])
    every = torch.tensor(list(itertools.product(range(3), repeat=4))).T
    assert model.log_prob(every).sum(0).exp().sum().item() == pytest.approx(1, abs=1e-12)
    probabilities = model(every)[0].logits.exp()
    torch.testing.assert_close(probabilities.sum(-1), torch.ones(4, 81, dtype=torch.float64), rtol=0, atol=1e-12)
    assert (probabilities > 0).all()


def test_before_it_has_counted_all_symbols_are_alike() -> None:
    distribution, _ = Markov(5, 2)(torch.tensor([[1], [4]]))
    torch.testing.assert_close(distribution.probs, torch.full((2, 1, 5), 0.2, dtype=torch.float64))


@pytest.mark.parametrize("order", [0, 1, 4])
def test_streaming_equals_whole(order: int) -> None:
    model = Markov(4, order).fit([text(200, 4, 1)])
    x = torch.tensor(text(11 * 3, 4, 2)).reshape(11, 3)
    whole, last = model(x)
    assert whole.batch_shape == (11, 3)
    state, parts = None, []
    for piece in x.split([1, 0, 2, 7, 1]):
        assert torch.equal(model.advance(piece, state)["symbols"], model(piece, state)[1]["symbols"])
        distribution, state = model(piece, state)
        parts.append(distribution.logits)
    assert torch.equal(torch.cat(parts), whole.logits)
    torch.testing.assert_close(state, last)
    assert state["known"].tolist() == [order] * 3
    assert torch.equal(state["symbols"], x[11 - order :].T)


@pytest.mark.parametrize("order", [0, 1, 3])
def test_ragged_and_reset_sequences_against_dictionaries(order: int) -> None:
    known = text(150, 3, 4)
    probability, model = slowly([known.tolist()], 3, order, True), Markov(3, order).fit([known])
    generator = torch.Generator().manual_seed(order)
    before = torch.randint(3, (2, 5), generator=generator)
    x = torch.randint(3, (8, 5), generator=generator)
    lengths = torch.tensor([8, 5, 1, 0, 6])
    resets = torch.rand(8, 5, generator=generator) < 0.25
    padded = torch.where(torch.arange(8)[:, None] < lengths, x, -100)
    _, state = model(before, lengths=torch.tensor([2, 1, 0, 2, 2]))
    distribution, after = model(padded, state, lengths=lengths, resets=resets)
    for index, length in enumerate(lengths.tolist()):
        past = before[: [2, 1, 0, 2, 2][index], index].tolist()
        for step in range(8):
            if step < length:
                past = [*([] if resets[step, index] else past), int(x[step, index])]
            context = tuple(past) if step < length else ()
            wanted = [math.log(probability(symbol, context)) for symbol in range(3)]
            assert distribution.logits[step, index].tolist() == pytest.approx(wanted, abs=1e-12)
        last = past[len(past) - order :] if len(past) > order else past
        assert after["known"][index] == len(last)
        assert after["symbols"][index].tolist() == [0] * (order - len(last)) + last
    log_prob = model.log_prob(padded, lengths=lengths)
    valid = torch.arange(8)[:, None] < lengths
    torch.testing.assert_close(log_prob, torch.where(valid, model.log_prob(x), 0))


@pytest.mark.parametrize("block", [1, 7, 64])
def test_counting_in_pieces_equals_counting_at_once(
    block: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    whole = text(400, 5, 3)
    wanted = Markov(5, 3).fit([whole]).state_dict()
    monkeypatch.setattr(_ngrams, "_BLOCK", block)
    whole.astype(np.uint8).tofile(tmp_path / "text")
    mapped = np.memmap(tmp_path / "text", np.uint8, "r")
    cuts = np.cumsum(np.random.default_rng(0).integers(0, 9, 60))
    for pieces in (
        iter(np.split(whole, cuts)),
        [mapped],
        (whole[i : i + 1] for i in range(400)),
        [torch.tensor(whole)],
    ):
        given = Markov(5, 3).fit(pieces).state_dict()
        assert all(torch.equal(given[name], wanted[name]) for name in wanted)


def test_counts_are_tallied_in_order() -> None:
    tally, generator, wanted = _ngrams.Tally(), np.random.default_rng(0), Counter()
    for size in (5, 0, 40, 1, 3, 200, 7):
        codes = generator.integers(0, 50, size)
        wanted.update(codes.tolist())
        tally.add(codes)
    codes, counts = tally.result()
    assert list(zip(codes.tolist(), counts.tolist(), strict=True)) == sorted(wanted.items())


def test_a_second_fit_takes_the_place_of_the_first() -> None:
    once, twice = Markov(4, 2).fit([text(50, 4, 1)]), Markov(4, 2).fit([text(90, 4, 0)])
    twice.fit([text(50, 4, 1)])
    assert all(torch.equal(twice.state_dict()[name], part) for name, part in once.state_dict().items())
    with pytest.raises(DataError):
        twice.fit([text(50, 4, 2), np.array([9])])
    assert all(torch.equal(twice.state_dict()[name], part) for name, part in once.state_dict().items())


def test_codes_reach_the_largest_integer() -> None:
    vocabulary = 2**21 - 1  # cubed, just below 2⁶³
    last = vocabulary - 1
    model = Markov(vocabulary, 2).fit([np.array([last, last, last, 0, last, last])])
    probability = slowly([[last, last, last, 0, last, last]], vocabulary, 2, True)
    x = [last, last, last, 0]
    wanted = [math.log(probability(symbol, tuple(x[:step]))) for step, symbol in enumerate(x)]
    assert model.log_prob(torch.tensor(x)[:, None])[:, 0].tolist() == pytest.approx(wanted, rel=1e-12)


def test_long_inputs_are_computed_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = Markov(4, 2).fit([text(90, 4, 0)]), torch.tensor(text(42, 4, 1)).reshape(14, 3)
    wanted = model(x)[0].logits
    monkeypatch.setattr("throughtime.models.markov._PROBABILITIES_AT_ONCE", 4 * 3 * 5)
    assert torch.equal(model(x)[0].logits, wanted)


def test_samples_match_their_own_probabilities() -> None:
    model = Markov(3, 2).fit([text(60, 3, 0)])
    every = torch.tensor(list(itertools.product(range(3), repeat=3))).T
    expected = model.log_prob(every).sum(0).exp() * 20_000
    torch.manual_seed(1)
    drawn = model.sample(3, batch_size=20_000)
    counts = torch.stack([(drawn == column[:, None]).all(0).sum() for column in every.T])
    assert ((counts - expected).square() / expected).sum() < 61.6  # 99.99 %, 26 degrees of freedom


def test_samples_continue_what_is_given() -> None:
    model = Markov(3, 2).fit([text(60, 3, 0)])
    first, (_, state) = torch.tensor([2, 0]), model(torch.tensor([[1, 2]]))
    likeliest = Decoding(temperature=0.0)
    drawn = model.sample(5, first, state, decoding=likeliest)
    past = torch.tensor([[1, 2], [2, 0]])
    for symbols in drawn:
        assert torch.equal(symbols, model(past)[0].logits[-1].argmax(-1))
        past = torch.cat([past, symbols[None]])
    _, state = model(first[None], state)
    assert torch.equal(model.sample(5, state=state, decoding=likeliest), drawn)
    assert model.sample(4).shape == (4, 1)
    repeated = model.repeat_state(state, 3)
    assert model.sample(4, state=repeated).shape == (4, 6)
    torch.testing.assert_close(repeated, model(torch.tensor([[1, 2], [2, 0]]).repeat_interleave(3, 1))[1])


def test_it_declares_what_it_is() -> None:
    model = Markov(7, 3)
    assert streams(model)
    assert isinstance(model, Streaming)
    assert isinstance(model, Density)
    assert model.size == 7
    assert batch_axes(model) == {"symbols": 0, "known": 0}
    assert not list(model.parameters())
    assert repr(model).startswith("Markov(\n  7, order=3")
    assert model(torch.zeros(0, 2, dtype=torch.long))[0].batch_shape == (0, 2)
    assert model.log_prob(torch.zeros(0, 2, dtype=torch.long)).shape == (0, 2)
    assert model(torch.zeros(3, 0, dtype=torch.uint8))[0].batch_shape == (3, 0)


def test_the_number_of_parameters_is_explained() -> None:
    model = Markov(3, 1).fit([np.array([0, 1, 0, 2, 0, 1])])
    assert model.parameter_count == 3 + 4
    assert "3^1 contexts with 2 free probabilities each would be 6" in str(model.explain())


@pytest.mark.parametrize("known", [text(300, 6, 0), text(2, 6, 0)])
def test_saved_and_loaded(known: np.ndarray, tmp_path: Path) -> None:
    model, x = Markov(6, 3).fit([known]), torch.tensor(text(20, 6, 1))[:, None]
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    saved = load_file(tmp_path / "model.safetensors")
    for loaded in (Markov(6, 3), Markov(6, 3).fit([text(99, 6, 2)])):
        loaded.load_state_dict(saved)
        assert torch.equal(loaded(x)[0].logits, model(x)[0].logits)
        assert torch.equal(loaded.log_prob(x), model.log_prob(x))
        assert loaded.parameter_count == model.parameter_count
    within = torch.nn.ModuleList([Markov(6, 3)])
    within.load_state_dict({f"0.{name}": part for name, part in saved.items()}, assign=True)
    assert torch.equal(within[0].log_prob(x), model.log_prob(x))


def test_tables_of_another_model_are_refused() -> None:
    saved = Markov(6, 3).fit([text(90, 6, 0)]).state_dict()
    model = Markov(6, 2).fit([text(90, 6, 1)])
    wanted = model.log_prob(torch.tensor([[3], [4]]))
    with pytest.raises(ArtifactError, match=r"those of Markov\(6, order=3\), not Markov\(6, order=2\)"):
        model.load_state_dict(saved)
    assert torch.equal(model.log_prob(torch.tensor([[3], [4]])), wanted)
    with pytest.raises(ArtifactError, match="not Markov"):
        Markov(7, 3).load_state_dict(saved)
    with pytest.raises(ArtifactError, match="a count for each: the file is damaged"):
        Markov(6, 3).load_state_dict({**saved, "tables.1.counts": saved["tables.1.counts"][1:]})
    del saved["tables.2.counts"]
    with pytest.raises(RuntimeError, match=r"Missing key.*tables\.2\.counts"):
        Markov(6, 3).load_state_dict(saved)


def test_single_precision() -> None:
    model, x = Markov(6, 3).fit([text(300, 6, 0)]), torch.tensor(text(20, 6, 1))[:, None]
    wanted = model.log_prob(x)
    assert model.float().log_prob(x).dtype == model(x)[0].logits.dtype == torch.float32
    torch.testing.assert_close(model.log_prob(x), wanted.float())


def test_refusals() -> None:
    for vocabulary, order in ((0, 1), (3, -1)):
        with pytest.raises(ConfigurationError, match="at least 1 symbol, and an order ≥ 0"):
            Markov(vocabulary, order)
    with pytest.raises(ConfigurationError, match=r"70000\^4 n-grams cannot be numbered.*order is at most 2"):
        Markov(70000, 3)
    Markov(70000, 2)
    model = Markov(4, 2)
    for pieces, error, words in (
        ([np.array([0, 4])], DataError, "piece 0 holds the symbol 4, expected 0 to 3"),
        ([[0, 1], [2, -1]], DataError, "piece 1 holds the symbol -1"),
        ([np.array([0.0, 1.0])], DataError, "of float64, expected integers"),
        (np.array([0, 1]), ShapeError, r"piece 0 is \[\], expected \[time\]: of one array make fit\(\[array\]\)"),
        ([np.zeros((2, 1), np.int64)], ShapeError, r"piece 0 is \[2, 1\]"),
        ([], DataError, "got no symbols"),
        ([np.zeros(0, np.int64)], DataError, "got no symbols"),
    ):
        with pytest.raises(error, match=words):
            model.fit(pieces)
    with pytest.raises(ShapeError, match=r"torch.int64 \[3\], expected integers \[time, batch\]"):
        model(torch.zeros(3, dtype=torch.long))
    with pytest.raises(ShapeError, match=r"torch.float32 \[3, 1\]"):
        model.log_prob(torch.zeros(3, 1))
    with pytest.raises(DataError, match="the symbol 4, expected 0 to 3"):
        model(torch.tensor([[1], [4]]))
    x = torch.zeros(3, 2, dtype=torch.long)
    with pytest.raises(ShapeError, match=r"\[3, 2\] symbols and \[3\] known, expected \[\[2, 2\], \[2\]\]"):
        model(x, model.initial_state(3))
    with pytest.raises(ShapeError, match="a tuple of another model"):
        model(x, (x, x))
    with pytest.raises(ShapeError, match="a length of 4"):
        model(x, lengths=torch.tensor([4, 1]))
    with pytest.raises(ShapeError, match=r"resets \[2, 3\], expected \[time, batch\] = \[3, 2\]"):
        model(x, resets=torch.zeros(2, 3, dtype=torch.bool))
    with pytest.raises(ConfigurationError, match="steps=0: at least one"):
        model.sample(0)
