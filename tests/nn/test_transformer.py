"""The Transformer as a layer that streams, and the one that reads in both directions."""

from __future__ import annotations

import random

import pytest
import torch
from torch import nn
from torch.nn.functional import gelu, layer_norm

from throughtime._errors import ConfigurationError, ShapeError, UnsupportedError
from throughtime._state import detach, map_state
from throughtime._types import Batch
from throughtime.gradients import Checkpointed, Full, Truncated, backward
from throughtime.models import CategoricalHead, SequenceModel, negative_log_likelihood
from throughtime.nn import GRU, Sequential, Transformer, TransformerEncoder, sinusoidal
from throughtime.nn.contract import batch_axes
from throughtime.ops import attention

TIME, BATCH, INPUT, HIDDEN, HEADS, CONTEXT = 11, 4, 3, 8, 2, 3
POSITIONS = ("rotary", "sinusoidal", "none")
EXTRAS = ("plain", "lengths", "resets", "both")


def make(positions="rotary", num_layers=2, context=CONTEXT, kind=Transformer, **settings):
    if kind is Transformer:
        settings["context"] = context
    return kind(INPUT, HIDDEN, num_layers, HEADS, positions=positions, dtype=torch.float64, **settings)


def sequences(time=TIME):
    return torch.randn(time, BATCH, INPUT, dtype=torch.float64)


def extras(kind, time=TIME):
    found = {}
    if kind in ("lengths", "both"):
        found["lengths"] = torch.tensor([time, 0, time // 2 + 1, 1])
    if kind in ("resets", "both"):
        found["resets"] = torch.rand(time, BATCH) < 0.2
    return found


def in_pieces(layer, x, sizes, lengths=None, resets=None, state=None):
    outputs, start = [], 0
    for size in sizes:
        given = {}
        if lengths is not None:
            given["lengths"] = (lengths - start).clamp(0, size)
        if resets is not None:
            given["resets"] = resets[start : start + size]
        output, state = layer(x[start : start + size], state, **given)
        outputs.append(output)
        start += size
    return torch.cat(outputs), state


def turned(vector, position):
    """By complex numbers; features 2i and 2i + 1 are the real and the imaginary part."""
    pairs = torch.view_as_complex(vector.unflatten(-1, (-1, 2)))
    frequencies = torch.tensor([10000.0 ** (-i / len(pairs)) for i in range(len(pairs))], dtype=torch.float64)
    return torch.view_as_real(pairs * torch.exp(1j * frequencies * position)).flatten()


def normed(norm, vector):
    return layer_norm(vector, vector.shape, norm.weight, norm.bias)


def slowly(layer, column, resets, reaches):
    """One sequence, step by step; `reaches(t, starts)` says which steps step t sees. The outputs [time, hidden]."""
    starts, start = [], 0
    for step in range(len(column)):
        start = step if resets is not None and resets[step] else start
        starts.append(start)
    hidden = []
    for step, x in enumerate(column):
        h = layer.input.weight @ x + layer.input.bias
        if layer.positions == "sinusoidal":
            place = torch.tensor([[step - starts[step]]])
            h = h + sinusoidal(place, HIDDEN, dtype=torch.float64)[0, 0]
        hidden.append(h)
    for block in layer.layers:
        heads = []
        for step, h in enumerate(hidden):
            normal = normed(block.attention_norm, h)
            parts = [part(normal).chunk(HEADS) for part in (block.attention.query, block.attention.key)]
            if layer.positions == "rotary":
                parts = [[turned(head, step - starts[step]) for head in part] for part in parts]
            heads.append((*parts, block.attention.value(normal).chunk(HEADS)))
        following = []
        for step, h in enumerate(hidden):
            seen = reaches(step, starts)
            found = [
                attention(
                    heads[step][0][head][None],
                    torch.stack([heads[s][1][head] for s in seen]),
                    torch.stack([heads[s][2][head] for s in seen]),
                )[0]
                for head in range(HEADS)
            ]
            h = h + block.attention.output(torch.cat(found))
            first, _, second = block.feedforward
            following.append(h + second(gelu(first(normed(block.feedforward_norm, h)))))
        hidden = following
    return torch.stack([normed(layer.norm, h) for h in hidden])


@pytest.mark.parametrize("kind", EXTRAS)
@pytest.mark.parametrize(
    ("positions", "context"),
    [
        ("rotary", CONTEXT),
        ("rotary", 1),
        ("rotary", 20),
        ("sinusoidal", 4),
        ("none", 2),
        ("rotary", None),
        ("sinusoidal", None),
    ],
)
def test_against_a_loop(positions, context, kind, close, gradients):
    encoder = context is None
    layer = make(positions, kind=TransformerEncoder) if encoder else make(positions, context=context)
    given = extras(kind)
    x = sequences().requires_grad_()
    output, _ = layer(x, **given)
    lengths = given.get("lengths", torch.full((BATCH,), TIME)).tolist()
    columns = []
    for index, length in enumerate(lengths):

        def reaches(step, starts, length=length):
            if encoder:
                return [s for s in range(length) if starts[s] == starts[step]]
            return range(max(starts[step], step - context + 1), step + 1)

        resets = given["resets"][:, index] if "resets" in given else None
        rows = slowly(layer, x[:length, index], resets, reaches) if length else x.new_zeros(0, HIDDEN)
        columns.append(torch.cat([rows, rows.new_zeros(TIME - length, HIDDEN)]))
    wanted = torch.stack(columns, 1)
    close([output], [wanted], factor=10)
    variables = [x, *layer.parameters()]
    close(gradients([output], variables), gradients([wanted], variables), factor=100)


@pytest.mark.parametrize("kind", EXTRAS)
@pytest.mark.parametrize("positions", POSITIONS)
def test_streaming_equals_whole(positions, kind, tensors, close, gradients):
    layer, given = make(positions), extras(kind, 17)
    x = sequences(17).requires_grad_()
    _, before = layer(sequences(5), lengths=torch.tensor([5, 2, 0, 1]))
    cuts = [[1] * 17, [9, 0, 1, 2, 5]]
    borders = sorted(random.Random(f"{positions} {kind}").choices(range(18), k=4))
    cuts.append([stop - start for start, stop in zip([0, *borders], [*borders, 17], strict=True)])
    for state in (None, detach(before)):
        state = map_state(lambda part: part.requires_grad_(part.is_floating_point()), state)
        variables = [x, *layer.parameters(), *(part for part in tensors(state)[:-1])]
        whole, last = layer(x, state, **given)
        results = [whole, *tensors(last)[:-1]]
        wanted = gradients(results, variables)
        for sizes in cuts:
            output, after = in_pieces(layer, x, sizes, **given, state=state)
            found = [output, *tensors(after)[:-1]]
            close(found, results)
            assert torch.equal(after["position"], last["position"])
            close(gradients(found, variables), wanted, factor=10)


def test_the_state_never_grows_and_holds_no_more_than_it_shows(tensors):
    layer = make()
    shapes = [part.shape for part in tensors(layer.initial_state(BATCH))]
    state = None
    for time in (0, 1, 2, 40, 1):
        _, state = layer(sequences(time), state)
        assert [part.shape for part in tensors(state)] == shapes
        assert all(part.untyped_storage().nbytes() == part.numel() * 8 for part in tensors(state))
    assert state["position"].tolist() == [44] * BATCH
    axes = {"keys": 0, "values": 0}
    assert batch_axes(layer) == {"layers": (axes, axes), "position": 0}


def test_no_step_keeps_the_state(tensors):
    layer = make()
    _, state = layer(sequences())
    output, after = layer(sequences(0), state)
    assert after is state
    assert output.shape == (0, BATCH, HIDDEN)
    lengths = torch.tensor([0, 3, 0, 1])
    _, after = layer(sequences(), state, lengths=lengths)
    for a, b in zip(tensors(after), tensors(state), strict=True):
        assert torch.equal(a[lengths == 0], b[lengths == 0])
    assert after["position"].tolist() == [11, 14, 11, 12]


@pytest.mark.parametrize("positions", POSITIONS)
def test_a_reset_is_a_new_beginning(positions, tensors, close):
    layer, x = make(positions), sequences()
    resets = torch.zeros(TIME, BATCH, dtype=torch.bool)
    resets[[3, 7, 9]] = True
    _, before = layer(sequences())
    output, state = layer(x, before, resets=resets)
    alone, last = layer(x[9:])
    close([output[9:], *tensors(state)], [alone, *tensors(last)])
    close([output[3:7]], [layer(x[3:7])[0]])


def test_a_step_reaches_back_as_far_as_the_layers_do_and_never_ahead():
    layer, x, time = make(num_layers=2), sequences(), 4
    changed = x.clone()
    changed[time] += 1
    difference = (layer(changed)[0] - layer(x)[0]).abs().amax((1, 2))
    reach = 2 * (CONTEXT - 1)
    assert not difference[:time].any()
    assert (difference[time : time + reach + 1] > 1e-6).all()
    assert not difference[time + reach + 1 :].any()


def test_padding_and_what_follows_it_is_not_read_even_if_it_is_no_number():
    for kind in (Transformer, TransformerEncoder):
        layer, x, lengths = make(kind=kind), sequences(), torch.tensor([11, 0, 4, 1])
        spoilt = x.masked_fill((torch.arange(TIME)[:, None] >= lengths)[..., None], torch.nan).requires_grad_()
        output, _ = layer(spoilt, lengths=lengths)
        assert torch.equal(output, layer(x, lengths=lengths)[0])
        assert not output[4:, 2].any()
        output.sum().backward()
        assert spoilt.grad.isfinite().all()
        assert all(parameter.grad.isfinite().all() for parameter in layer.parameters())


@pytest.mark.parametrize("positions", POSITIONS)
def test_without_positions_what_came_before_is_a_set(positions):
    x, order = sequences(), torch.tensor([3, 1, 0, 2, 7, 5, 9, 8, 6, 4, 10])
    layer = make(positions, num_layers=1, context=TIME)
    difference = (layer(x[order])[0][-1] - layer(x)[0][-1]).abs().max()
    assert difference < 1e-12 if positions == "none" else difference > 1e-3
    encoder = make(positions, kind=TransformerEncoder)
    difference = (encoder(x[order])[0] - encoder(x)[0][order]).abs().max()
    assert difference < 1e-12 if positions == "none" else difference > 1e-3


@pytest.mark.parametrize("positions", POSITIONS)
def test_how_long_ago_a_sequence_began_matters_to_sinusoids_alone(positions):
    layer, x, reach = make(positions), sequences(), 2 * (CONTEXT - 1)
    with_past, _ = layer(torch.cat([sequences(50), x]))
    difference = (with_past[50 + reach :] - layer(x)[0][reach:]).abs().max()
    assert difference > 1e-3 if positions == "sinusoidal" else difference < 1e-12


def test_attention_weights(close):
    layer, x = make("rotary"), sequences()
    resets = torch.zeros(TIME, BATCH, dtype=torch.bool)
    resets[4, 2] = True
    weights = layer.attention_weights(x, resets=resets)
    assert weights.shape == (2, BATCH, HEADS, TIME, TIME)
    ages = torch.arange(TIME)[:, None] - torch.arange(TIME)
    seen = ((ages >= 0) & (ages < CONTEXT)).expand(BATCH, TIME, TIME).clone()
    seen[2, 4:, :4] = False
    assert torch.equal(weights[1, :, 1] > 0, seen)
    close([weights.sum(-1)], [torch.ones(2, BATCH, HEADS, TIME, dtype=torch.float64)])
    block = layer.layers[0]
    with torch.no_grad():  # what they weigh is what the layer adds
        hidden = layer.input(x)
        values = block.attention.keys_values(block.attention_norm(hidden))[1]
        wanted = hidden + block.attention.combine(weights[0] @ values)
        seen_by_next = []
        block.feedforward_norm.register_forward_pre_hook(lambda module, given: seen_by_next.append(given[0]))
        layer(x, resets=resets)
    close(seen_by_next, [wanted])


def test_a_source_is_looked_at_by_every_layer():
    layer, x = make(source_size=5), sequences()
    source = torch.randn(6, BATCH, 5, dtype=torch.float64)
    read = layer.read(source, torch.tensor([6, 2, 0, 3]))
    output, _ = layer(x, source=read)
    streamed = []
    state = None
    for step in x:
        row, state = layer(step[None], state, source=read)
        streamed.append(row)
    torch.testing.assert_close(torch.cat(streamed), output)
    assert not torch.equal(read[0].keys, read[1].keys)
    torch.testing.assert_close(layer(x[:, 1:2], source=layer.read(source[:2, 1:2]))[0], output[:, 1:2])


@pytest.mark.parametrize("mode", [torch.bfloat16, torch.float16])
def test_half_precision(mode):
    layer = Transformer(INPUT, HIDDEN, num_heads=HEADS, context=CONTEXT)
    x = torch.randn(TIME, BATCH, INPUT)
    with torch.autocast("cpu", mode):
        output, state = layer(x[:5])
        second, state = layer(x[5:], state)
    assert state["layers"][0]["keys"].dtype == torch.float32
    torch.testing.assert_close(torch.cat([output, second]).float(), layer(x)[0], atol=0.1, rtol=0.1)
    layer.to(mode)
    output, state = layer(x.to(mode))
    assert output.dtype == state["layers"][0]["keys"].dtype == mode


def test_dropout_is_at_work_in_training_only():
    for kind in (Transformer, TransformerEncoder):
        layer, x = make(dropout=0.4, kind=kind), sequences()
        assert not torch.equal(layer(x)[0], layer(x)[0])
        layer.eval()
        assert torch.equal(layer(x)[0], layer(x)[0])


class ExactHead(CategoricalHead):
    """Logits in the precision of the model."""

    def forward(self, features, base=None):
        return self.distribution(self.linear(features))


def model_and_batch(dropout=0.0, time=13):
    torch.manual_seed(0)
    backbone = Transformer(6, HIDDEN, num_heads=HEADS, context=CONTEXT, dropout=dropout)
    model = SequenceModel(nn.Embedding(5, 6), backbone, ExactHead(HIDDEN, 5)).double()
    resets = torch.rand(time, BATCH) < 0.1
    return model, Batch(
        torch.randint(5, (time, BATCH)),
        torch.randint(5, (time, BATCH)),
        lengths=torch.tensor([time, 5, 9, 1]),
        resets=resets,
    )


def gradients_by(model, batch, strategy, loss=negative_log_likelihood):
    model.zero_grad()
    torch.manual_seed(1)
    segment = backward(model, batch, loss, strategy)
    return segment, [parameter.grad.clone() for parameter in model.parameters()]


@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("strategy", [Checkpointed(segment=2), Checkpointed(segment=5), Checkpointed(memory="200KB")])
def test_checkpointed_equals_full(strategy, dropout, close):
    model, batch = model_and_batch()
    segment, found = gradients_by(model, batch, strategy)
    whole, wanted = gradients_by(model, batch, Full())
    close([segment.loss_sum, *found], [whole.loss_sum, *wanted])
    assert torch.equal(segment.carry["position"], whole.carry["position"])
    if dropout:  # no whole run draws the same masks: twice the same must be the same
        model, batch = model_and_batch(dropout)
        close(gradients_by(model, batch, strategy)[1], gradients_by(model, batch, strategy)[1])


def test_truncation_cuts_the_gradient_between_steps(close):
    model, batch = model_and_batch()
    _, wanted = gradients_by(model, batch, Full())
    segment, found = gradients_by(model, batch, Truncated(4))
    assert max((a - b).abs().max() for a, b in zip(found, wanted, strict=True)) > 1e-3
    state, total = None, 0.0
    model.zero_grad()
    for start in range(0, 13, 4):
        piece = batch.segment(start, min(13, start + 4))
        distribution, state = model(piece.inputs, detach(state), lengths=piece.lengths, resets=piece.resets)
        valid = torch.arange(len(piece.inputs))[:, None] < piece.lengths
        total = total + (negative_log_likelihood(distribution, piece.targets) * valid).sum()
    total.backward()
    close(found, [parameter.grad for parameter in model.parameters()])
    torch.testing.assert_close(segment.loss_sum, total.detach())


def test_an_encoder_runs_under_full_alone():
    layer = make(kind=TransformerEncoder)
    batch = Batch(
        sequences(), torch.zeros(TIME, BATCH, HIDDEN, dtype=torch.float64), lengths=torch.tensor([11, 4, 0, 2])
    )
    loss = lambda output, target: (output - target).square().sum(-1)  # noqa: E731
    assert backward(layer, batch, loss).count == 17
    with pytest.raises(UnsupportedError, match="TransformerEncoder cannot take it so"):
        backward(layer, batch, loss, Truncated(3))
    with pytest.raises(ConfigurationError, match="streams = False"):
        SequenceModel(nn.Identity(), layer, CategoricalHead(HIDDEN, 2))
    stack = Sequential(layer, GRU(HIDDEN, 2, dtype=torch.float64))
    output, state = stack(batch.inputs, lengths=batch.lengths)
    assert output.shape == (TIME, BATCH, 2)
    assert state[0] is None


def test_a_model_samples_from_it():
    model, _ = model_and_batch()
    torch.manual_seed(2)
    drawn = model.sample(6, batch_size=3)
    assert drawn.shape == (6, 3)
    torch.testing.assert_close(
        model.log_prob(drawn).sum(0),
        sum(
            distribution.log_prob(drawn[None, step])[0] for step, (distribution, _) in enumerate(stepwise(model, drawn))
        ),
    )


def stepwise(model, x):
    state = None
    blank = torch.zeros(1, x.shape[1], 6, dtype=torch.float64)
    for step in range(len(x)):
        embedded = blank if step == 0 else model.embedding(x[step - 1 : step])
        features, state = model.backbone(embedded, state)
        yield model.head(features), state


def test_settings_that_cannot_be_are_refused():
    for settings, words in (
        ({"num_heads": 3}, "must be a multiple of num_heads"),
        ({"num_layers": 0}, r"num_layers=0\): expected at least 1"),
        ({"context": 0}, "a step sees at least itself"),
        ({"positions": "learned"}, "expected one of rotary, sinusoidal, none"),
        ({"dropout": 1.5}, "a probability"),
        ({"feedforward_size": 0}, "feedforward_size=0"),
    ):
        with pytest.raises(ConfigurationError, match=words):
            Transformer(3, 8, **settings)
    with pytest.raises(ConfigurationError, match="a head has 3 features"):
        Transformer(3, 6, num_heads=2)
    assert Transformer(3, 6, num_heads=2, positions="none").head_size == 3


def test_tensors_that_do_not_fit_are_refused():
    layer, x = make(), sequences()
    _, state = layer(x)
    for given, words in (
        ((x[:, 0],), r"expected \[time, batch, 3\]"),
        ((x[..., :2],), "expected input_size=3"),
        ((x[:, :2], state), r"positions \[4\], expected 4 of \(2, 2, 3, 4\) and \[2\]"),
        ((x, state["position"]), "a Tensor of another layer"),
        ((x, make(context=4)(x)[1]), "another layer's"),
        ((x, make(num_layers=1)(x)[1]), "a state of 2 keys and values"),
    ):
        with pytest.raises(ShapeError, match=words):
            layer(*given)
    with pytest.raises(ConfigurationError, match=r"a state of torch\.float64 for an input of torch\.float32"):
        make().float()(x.float(), state)
    with pytest.raises(ShapeError, match="a length of 12"):
        layer(x, lengths=torch.tensor([12, 1, 1, 1]))
    with pytest.raises(ShapeError, match="resets"):
        layer(x, resets=torch.zeros(BATCH, TIME, dtype=torch.bool))
    with pytest.raises(UnsupportedError, match="has no state"):
        make(kind=TransformerEncoder)(x, state)


def test_sources_that_do_not_fit_are_refused():
    layer, x = make(source_size=5), sequences()
    source = torch.zeros(6, BATCH, 5, dtype=torch.float64)
    with pytest.raises(ConfigurationError, match=r"pass source=layer\.read"):
        layer(x)
    with pytest.raises(ConfigurationError, match="build it with that"):
        make()(x, source=layer.read(source))
    with pytest.raises(ShapeError, match="a source of a batch of 4, x has 2"):
        layer(x[:, :2], source=layer.read(source))
    with pytest.raises(ShapeError, match="this one has None"):
        make().read(source)
    with pytest.raises(ShapeError, match="expected input_size=5"):
        layer.read(source[..., :4])
