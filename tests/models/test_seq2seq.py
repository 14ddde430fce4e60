"""Models of a sequence given another: probabilities, samples, search, padding, and a task learnt."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from throughtime import ConfigurationError, ShapeError
from throughtime.models import CategoricalHead, Conditional, Decoding, RecurrentSeq2Seq, Seq2Seq

END = 2  # of a target alphabet of 3 symbols
MODELS = {
    "transformer": lambda **settings: Seq2Seq(4, 3, hidden_size=8, num_heads=2, context=3, **settings),
    "rotary": lambda **settings: Seq2Seq(4, 3, hidden_size=8, num_heads=2, positions="rotary", **settings),
    "gru": lambda **settings: RecurrentSeq2Seq(4, 3, hidden_size=8, **settings),
    "lstm": lambda **settings: RecurrentSeq2Seq(4, 3, hidden_size=8, cell="lstm", num_layers=2, **settings),
}


@pytest.fixture(params=MODELS)
def make(request: pytest.FixtureRequest):
    def made(**settings) -> Conditional:
        torch.manual_seed(0)
        model = MODELS[request.param](**settings).eval()
        for parameter in model.head.parameters():  # far from uniform, so that the order of things matters
            parameter.data.mul_(4)
        return model

    return made


def all_targets(steps: int, end: int | None = None) -> tuple[Tensor, Tensor]:
    """Every target of `steps` symbols, or of fewer with an end, [steps, number], and their lengths."""
    found = []
    for length in range(1, steps + 1):
        for symbols in itertools.product(range(3), repeat=length):
            ended = end in symbols[:-1]
            if not ended and (length == steps or symbols[-1] == end):
                found.append(symbols)
    lengths = torch.tensor([len(symbols) for symbols in found])
    rows = [[*symbols, *[2] * (steps - len(symbols))] for symbols in found]
    return torch.tensor(rows).T, lengths


@pytest.mark.parametrize("end", [None, END])
def test_probabilities_of_all_targets_sum_to_one(make, end: int | None) -> None:
    model = make(end=end).double()
    targets, lengths = all_targets(4, end)
    assert len(lengths) == (81 if end is None else 31)  # 1 + 2 + 4 that end early, 8 × 3 that need not
    sources = torch.randint(4, (5, 3))
    for source in sources.T:
        repeated = source[:, None].expand(-1, len(lengths))
        log_prob = model.log_prob(targets, repeated, target_lengths=lengths)
        assert not log_prob[torch.arange(4)[:, None] >= lengths].any()
        assert log_prob.sum(0).exp().sum().item() == pytest.approx(1.0, abs=1e-6)


def test_each_symbol_is_predicted_from_those_before_it_and_the_source(make) -> None:
    model = make()
    target, source = torch.randint(3, (6, 2)), torch.randint(4, (5, 2))
    whole = model.log_prob(target, source)
    for step in range(6):
        changed = target.clone()
        changed[step] = (changed[step] + 1) % 3
        found = model.log_prob(changed, source)
        torch.testing.assert_close(found[:step], whole[:step])
        assert ((found - whole)[step].abs() > 1e-4).all()
        if step < 5:
            assert ((found - whole)[step + 1].abs() > 1e-6).all()
    for step in range(5):  # every symbol of the source matters, to every step
        changed = source.clone()
        changed[step] = (changed[step] + 1) % 4
        assert ((model.log_prob(target, changed) - whole).abs() > 1e-7).all()


def test_padding_is_not_read(make) -> None:
    model = make()
    target, source = torch.randint(3, (6, 3)), torch.randint(4, (5, 3))
    target_lengths, source_lengths = torch.tensor([6, 2, 3]), torch.tensor([3, 5, 1])
    target[2:, 1], source[3:, 0], source[1:, 2] = -100, 77, -1
    found = model.log_prob(target, source, target_lengths=target_lengths, source_lengths=source_lengths)
    for index, (length, source_length) in enumerate(zip(target_lengths, source_lengths, strict=True)):
        alone = model.log_prob(target[:length, index : index + 1], source[:source_length, index : index + 1])
        torch.testing.assert_close(found[:length, index : index + 1], alone)
        assert not found[length:, index].any()
    sums = -found.sum(0)
    sums.sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters() if parameter.grad is not None)


def test_samples_match_their_own_probabilities(make) -> None:
    model, draws = make(end=END), 10_000
    source = torch.tensor([[1], [3], [0]])
    targets, lengths = all_targets(3, END)
    expected = model.log_prob(targets, source.expand(-1, 15), target_lengths=lengths).sum(0).exp() * draws
    torch.manual_seed(1)
    drawn, drawn_lengths = model.sample(source.expand(-1, draws), 3)
    counts = torch.stack(
        [
            ((drawn == target[:, None]).all(0) & (drawn_lengths == length)).sum()
            for target, length in zip(targets.T, lengths, strict=True)
        ]
    )
    assert counts.sum() == draws
    assert ((counts - expected).square() / expected).sum() < 42.6  # 99.99 % of chi-squared with 14 degrees of freedom


def test_samples_of_a_ragged_batch_equal_each_alone(make) -> None:
    model, likeliest = make(end=END), Decoding(temperature=0.0)
    source, lengths = torch.randint(4, (5, 6)), torch.tensor([5, 1, 2, 4, 3, 5])
    together, together_lengths = model.sample(source, 7, source_lengths=lengths, decoding=likeliest)
    best = model.search(source, 7, beams=1, source_lengths=lengths)
    assert torch.equal(best[0], together)
    assert torch.equal(best[1], together_lengths)
    assert len(together) == together_lengths.max()
    for index, length in enumerate(lengths.tolist()):
        alone, own = model.sample(source[:length, index : index + 1], 7, decoding=likeliest)
        assert own[0] == together_lengths[index]
        assert torch.equal(alone[: own[0], 0], together[: own[0], index])
        assert (together[own[0] :, index] == END).all()


@pytest.mark.parametrize("end", [None, END])
def test_a_wide_search_finds_the_likeliest_of_all_targets(make, end: int | None) -> None:
    model = make(end=end)
    targets, lengths = all_targets(4, end)
    source = torch.randint(4, (5, 3))
    found, found_lengths, log_prob = model.search(source, 4, beams=81)
    for index, column in enumerate(source.T):
        repeated = column[:, None].expand(-1, len(lengths))
        every = model.log_prob(targets, repeated, target_lengths=lengths).sum(0)
        best = every.argmax()
        assert found_lengths[index] == lengths[best]
        assert torch.equal(found[: lengths[best], index], targets[: lengths[best], best])
        torch.testing.assert_close(log_prob[index], every[best])
    narrow = model.search(source, 4, beams=2)
    again = model.log_prob(narrow[0], source, target_lengths=narrow[1]).sum(0)
    torch.testing.assert_close(narrow[2], again)
    assert (narrow[2] <= log_prob + 1e-5).all()


def test_the_recurrent_models_attention_by_hand() -> None:
    torch.manual_seed(0)
    model = RecurrentSeq2Seq(4, 3, hidden_size=8).eval()
    target, source = torch.randint(3, (3, 1)), torch.randint(4, (5, 1))
    outputs, h = model.encoder(model.source_embedding(source))
    previous = torch.cat([torch.tensor([[3]]), target[:-1]])
    for step, symbol in enumerate(target):
        output, h = model.decoder(model.target_embedding(previous[step : step + 1]), h)
        scores = torch.stack([output[0, 0] @ model.score.weight.T @ s for s in outputs[:, 0]])
        weights = scores.exp() / scores.exp().sum()
        context = (weights[:, None] * outputs[:, 0]).sum(0)
        mixed = torch.tanh(model.combination.weight @ torch.cat([context, output[0, 0]]))
        wanted = (model.head.linear.weight @ mixed + model.head.linear.bias).log_softmax(-1)[symbol]
        torch.testing.assert_close(model.log_prob(target, source)[step], wanted)


def test_each_decoder_layer_projects_its_own_keys_and_values_of_the_encoders_output() -> None:
    torch.manual_seed(0)
    model = Seq2Seq(4, 3, hidden_size=8, num_heads=2, num_layers=3).eval()
    source = torch.randint(4, (5, 2))
    output, _ = model.encoder(model.source_embedding(source))
    memory, _ = model.encode(source)
    assert len(memory) == 3
    for layer, projected in zip(model.decoder.layers, memory, strict=True):
        keys = output @ layer.source_attention.key.weight.T + layer.source_attention.key.bias
        values = output @ layer.source_attention.value.weight.T + layer.source_attention.value.bias
        torch.testing.assert_close(projected.keys.permute(2, 0, 1, 3).flatten(2), keys)
        torch.testing.assert_close(projected.values.permute(2, 0, 1, 3).flatten(2), values)


def reversals(number: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Sources of 1 to 4 of 5 symbols, and the same backwards in letters of another alphabet, 5 being the end."""
    source, lengths = torch.randint(5, (4, number)), torch.randint(1, 5, (number,))
    steps = torch.arange(5)[:, None]
    turned = source.gather(0, (lengths - 1 - steps).clamp(min=0)[:4])
    target = torch.cat([4 - turned, turned[:1]]).masked_fill(steps >= lengths, 5)
    return target, source, lengths + 1, lengths


@pytest.mark.parametrize(
    "model",
    [
        lambda: Seq2Seq(5, 6, end=5, hidden_size=32, num_layers=1, num_heads=2),
        lambda: RecurrentSeq2Seq(5, 6, end=5, hidden_size=48),
    ],
)
def test_reversal_is_learnt(model) -> None:
    torch.manual_seed(0)
    model = model()
    optimizer = torch.optim.Adam(model.parameters(), 5e-3)
    for _ in range(200):
        target, source, target_lengths, source_lengths = reversals(48)
        log_prob = model.log_prob(target, source, target_lengths=target_lengths, source_lengths=source_lengths)
        optimizer.zero_grad()
        (-log_prob.sum() / target_lengths.sum()).backward()
        optimizer.step()
    target, source, target_lengths, source_lengths = reversals(200)
    found, lengths, _ = model.eval().search(source, 5, beams=2, source_lengths=source_lengths)
    found = torch.cat([found, found.new_full((5 - len(found), 200), 5)])
    right = (found == target).all(0) & (lengths == target_lengths)
    assert right.float().mean() > 0.9


def test_refusals(make) -> None:
    model = make(end=END)
    target, source = torch.randint(3, (6, 2)), torch.randint(4, (5, 2))
    for given, words in (
        ((target[:, 0], source), r"a target \[6\] of torch\.int64, expected integers"),
        ((target, source.float()), r"a source \[5, 2\] of torch\.float32"),
        ((target, source[:, :1]), r"targets are \[6, 2\], sources \[5, 1\]"),
        ((target + 1, source), r"a target with the symbol 3, expected 0 … 2"),
        ((target, source - 5), "a source with the symbol -"),
    ):
        with pytest.raises(ShapeError, match=words):
            model.log_prob(*given)
    with pytest.raises(ShapeError, match="source got a length of 6"):
        model.log_prob(target, source, source_lengths=torch.tensor([6, 1]))
    for call in (lambda: model.sample(source, 0), lambda: model.search(source, 0)):
        with pytest.raises(ConfigurationError, match="steps=0"):
            call()
    with pytest.raises(ConfigurationError, match="beams=0"):
        model.search(source, 3, beams=0)
    with pytest.raises(ConfigurationError, match="end=3 is none of the target's symbols"):
        make(end=3)
    with pytest.raises(ConfigurationError, match="expected one of gru, lstm"):
        RecurrentSeq2Seq(4, 3, cell="rnn")
    with pytest.raises(ConfigurationError, match="0 source"):
        Seq2Seq(0, 3)
    assert not model.streams
    assert isinstance(model.head, CategoricalHead)
