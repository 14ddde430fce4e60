"""What attention looks at, captured from the forward that used it."""

from __future__ import annotations

import json
import math
from io import StringIO
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from torch import Tensor, nn
from torch.nn import functional

from throughtime import Batch
from throughtime._errors import ConfigurationError, DataError, UnsupportedError
from throughtime.inspection.activity.attention_maps import AttentionMaps, LayerAttention, attention_maps
from throughtime.models.seq2seq import RecurrentSeq2Seq, Seq2Seq
from throughtime.nn import GRU, MultiHeadAttention, Sequential, Transformer, TransformerEncoder
from throughtime.ops import attention_weights


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def in_double(module: nn.Module) -> Any:
    torch.manual_seed(1)
    module = module.double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
    return module


def seen(model: nn.Module, given: Any) -> list[LayerAttention]:
    return list(attention_maps(model, given).layers)


def maps(model: nn.Module, given: Any) -> list[Tensor]:
    return [torch.from_numpy(layer.maps) for layer in seen(model, given)]


def close(given: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(given, expected.detach(), rtol=0, atol=1e-10)


@pytest.mark.parametrize("fed", ["plain", "causal", "lengths", "weights"])
def test_our_attention_gives_weights_times_values(fed: str) -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = MultiHeadAttention(6, 2)

        def forward(self, x: Tensor) -> Tensor:
            marks: dict[str, Any] = {"plain": {}, "causal": {"causal": True}, "weights": {"weights": True}}.get(
                fed, {"source_lengths": torch.tensor([5, 3, 1])}
            )
            return self.inner(x, **marks)[0]

    model, x = in_double(Model()), drawn(5, 3, 6)
    (layer,) = seen(model, x)
    weights = torch.from_numpy(layer.maps)
    assert layer.name == "inner"
    assert layer.itself
    assert layer.causal == (fed == "causal")
    close(weights.sum(-1), torch.ones(3, 2, 5, dtype=torch.float64))
    close(model.inner.combine(weights @ model.inner.keys_values(x)[1]), model(x))


def layers_of(module: Any) -> list[Any]:
    return list(module.layers)


@pytest.mark.parametrize("context", [3, 5, 40])
@pytest.mark.parametrize("marked", [False, True])
def test_a_transformer_gives_weights_times_values(context: int, marked: bool) -> None:
    layer, x = in_double(Transformer(3, 8, num_heads=2, context=context)), drawn(11, 2, 3)
    given = Batch(x, x)
    if marked:
        resets = torch.zeros(11, 2, dtype=torch.bool)
        resets[4, 0] = True
        given = Batch(x, x, lengths=torch.tensor([11, 6]), resets=resets)
    kept: list[Tensor] = []
    handles = [block.attention_norm.register_forward_hook(lambda *c: kept.append(c[-1])) for block in layers_of(layer)]
    handles += [block.attention.output.register_forward_hook(lambda *c: kept.append(c[-1])) for block in layer.layers]
    with torch.no_grad():
        found = seen(layer, given)
    for handle in handles:
        handle.remove()
    assert [one.name for one in found] == ["layers.0.attention", "layers.1.attention"]
    for at, one in enumerate(found):
        weights, (normed, output) = torch.from_numpy(one.maps), kept[2 * at : 2 * at + 2]
        attention = layer.layers[at].attention
        mixed = attention.combine(weights @ attention.keys_values(normed)[1])
        rows = torch.from_numpy(one.counted.T)
        close(mixed[rows], output[rows])
        assert one.causal
        assert not weights.tril(-context).any()
    if marked:
        assert found[0].counted.sum(1).tolist() == [11, 6]
        assert not found[0].maps[0, :, 4:, :4].any()


def test_our_encoder_sees_no_padding() -> None:
    layer, x = in_double(TransformerEncoder(3, 8, num_layers=1, num_heads=2)), drawn(7, 2, 3)
    (found,) = seen(layer, Batch(x, x, lengths=torch.tensor([7, 4])))
    weights = torch.from_numpy(found.maps)
    assert found.name == "layers.0.attention"
    assert not weights[1, :, :, 4:].any()
    rows = torch.special.entr(weights).sum(-1)
    counted = torch.cat([rows[0], rows[1, :, :4]], 1).mean(1)
    close(torch.from_numpy(found.entropy), counted)


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("heads", [1, 2])
def test_torchs_encoder_is_captured_past_its_fast_path(batch_first: bool, heads: int) -> None:
    each = nn.TransformerEncoderLayer(8, heads, 16, batch_first=batch_first)
    model = in_double(nn.TransformerEncoder(each, 2, enable_nested_tensor=False)).eval()
    x = drawn(5, 3, 8)
    fast = torch.backends.mha.get_fastpath_enabled()
    found = maps(model, x)
    assert torch.backends.mha.get_fastpath_enabled() == fast
    with torch.no_grad():
        for weights, layer in zip(found, model.layers, strict=True):
            expected = layer.self_attn(x, x, x, average_attn_weights=False)[1]
            close(weights, expected)
            x = layer(x)


def test_torchs_causal_mask_and_padding() -> None:
    class Model(nn.Module):
        def __init__(self, *, told: bool) -> None:
            super().__init__()
            self.told, self.inner = told, nn.MultiheadAttention(6, 2)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
            mask = nn.Transformer.generate_square_subsequent_mask(len(x), dtype=x.dtype)
            padding = torch.arange(len(x)) >= torch.tensor([[5], [3]])
            added = torch.zeros(padding.shape, dtype=x.dtype).masked_fill(padding, -torch.inf)
            return self.inner(x, x, x, attn_mask=mask, key_padding_mask=added, need_weights=self.told)

    for told in (True, False):
        model, x = in_double(Model(told=told)), drawn(5, 2, 6)
        (found,) = seen(model, x)
        assert found.causal
        q, k, v = functional.linear(x, model.inner.in_proj_weight, model.inner.in_proj_bias).chunk(3, -1)
        q, k, v = (part.unflatten(-1, (2, 3)).permute(1, 2, 0, 3) for part in (q, k, v))
        mask = torch.ones(5, 5, dtype=torch.bool).tril() & (torch.arange(5) < torch.tensor([[5], [3]]))[:, None, None]
        weights = torch.from_numpy(found.maps)
        close(weights, attention_weights(q, k, mask))
        output = model.inner.out_proj((weights @ v).permute(2, 0, 1, 3).flatten(2))
        close(output.detach(), model(x)[0])


def test_what_is_masked_from_every_key_has_no_weights() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.MultiheadAttention(6, 2)

        def forward(self, x: Tensor) -> Tensor:
            mask = torch.zeros(4, 4, dtype=torch.bool)
            mask[2] = True
            return self.inner(x, x, x, attn_mask=mask, need_weights=self.training)[0]

    (found,) = maps(in_double(Model()), drawn(4, 2, 6))
    assert not found[:, :, 2].any()
    close(found[:, :, [0, 1, 3]].sum(-1), torch.ones(2, 2, 3, dtype=torch.float64))


class Bare(nn.Module):
    """Attention by the function alone."""

    def __init__(self, **marks: Any) -> None:
        super().__init__()
        self.marks = marks

    def forward(self, x: Tensor) -> Tensor:
        y = x.transpose(0, 1)
        return functional.scaled_dot_product_attention(y, y, 2 * y, **self.marks)


@pytest.mark.parametrize("marks", [{}, {"is_causal": True}, {"scale": 3.0}])
def test_the_bare_function(marks: dict[str, Any]) -> None:
    x = drawn(5, 2, 4)
    (layer,) = seen(Bare(**marks), x)
    y = x.transpose(0, 1)
    scores = y @ y.mT * marks.get("scale", 0.5)
    if "is_causal" in marks:
        scores = scores.masked_fill(~torch.ones(5, 5, dtype=torch.bool).tril(), -torch.inf)
    assert layer.name == "Bare"
    close(torch.from_numpy(layer.maps), scores.softmax(-1)[:, None])


def test_grouped_heads() -> None:
    class Grouped(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            y = x.unflatten(-1, (4, 2)).permute(1, 2, 0, 3)
            return functional.scaled_dot_product_attention(y, y[:, :2], y[:, 2:], enable_gqa=True)

    x = drawn(5, 2, 8)
    y = x.unflatten(-1, (4, 2)).permute(1, 2, 0, 3)
    close(maps(Grouped(), x)[0], attention_weights(y, y[:, :2].repeat_interleave(2, 1)))


def test_a_head_that_looks_at_the_step_before() -> None:
    layer = MultiHeadAttention(16, 2).double()

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = layer

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(x, causal=True)[0]

    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
        layer.key.weight[:8, :8] = torch.eye(8)
        layer.query.weight[:8, :8] = 400 * torch.diag(torch.ones(7), 1)
    x = torch.zeros(8, 1, 16, dtype=torch.float64)
    x[:, 0, :8] = torch.eye(8)
    (found,) = seen(Model(), x)
    assert found.distance is not None
    assert found.on_itself is not None
    np.testing.assert_allclose(found.distance, [1, 2.0], rtol=1e-12)  # the other head looks at all alike
    np.testing.assert_allclose(found.on_itself[0], 0, atol=1e-12)
    np.testing.assert_allclose(found.on_first[0], 1 / 7, rtol=1e-12)
    np.testing.assert_allclose(found.entropy[0], 0, atol=1e-12)
    np.testing.assert_allclose(found.entropy[1], np.mean([math.log(n) for n in range(2, 9)]), rtol=1e-12)


def test_a_sequence_and_the_source_of_another() -> None:
    target, source = torch.randint(0, 4, (6, 2)), torch.randint(0, 5, (9, 2))
    found = seen(in_double(Seq2Seq(5, 4, hidden_size=8, num_heads=2, num_layers=1)), (target, source))
    assert [(one.name, one.maps.shape[2:], one.causal) for one in found] == [
        ("encoder.layers.0.attention", (9, 9), False),
        ("decoder.layers.0.attention", (6, 6), True),
        ("decoder.layers.0.source_attention", (6, 9), False),
    ]
    assert found[2].distance is found[2].on_itself is None
    model = in_double(RecurrentSeq2Seq(5, 4, hidden_size=8))
    (one,) = seen(model, (target, source))
    assert one.name == "RecurrentSeq2Seq"
    memory, state = model.encode(source)
    previous = torch.cat([torch.full((1, 2), 4), target])[:-1]
    scores = model.score(model.decoder(model.target_embedding(previous), state)[0]).transpose(0, 1)
    close(torch.from_numpy(one.maps)[:, 0], (scores @ memory["outputs"].mT).softmax(-1))


def test_torchs_transformer() -> None:
    model = in_double(nn.Transformer(8, 2, 1, 1, 16, batch_first=True))
    found = seen(model, (drawn(2, 7, 8), drawn(2, 5, 8, seed=1)))
    assert [(one.name, one.maps.shape) for one in found] == [
        ("encoder.layers.0.self_attn", (2, 2, 7, 7)),
        ("decoder.layers.0.self_attn", (2, 2, 5, 5)),
        ("decoder.layers.0.multihead_attn", (2, 2, 5, 7)),
    ]
    assert [one.itself for one in found] == [True, True, False]


def test_a_module_called_twice_is_told_apart() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = MultiHeadAttention(6, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(self.inner(x)[0])[0]

    assert [one.name for one in seen(in_double(Twice()), drawn(4, 2, 6))] == ["inner", "inner, call 2"]


def test_the_model_stays_as_it_was() -> None:
    model = in_double(
        Sequential(Transformer(3, 8, num_layers=1, num_heads=2, dropout=0.3), TransformerEncoder(8, 8, num_heads=2))
    ).train()
    before = {name: part.clone() for name, part in model.state_dict().items()}
    found = attention_maps(model, drawn(6, 2, 3))
    assert len(found.layers) == 3
    assert all(torch.equal(part, before[name]) for name, part in model.state_dict().items())
    for part in model.modules():
        assert part.training
        assert not part._forward_hooks
        assert not part._forward_pre_hooks
        assert not {"attend", "_run"} & set(vars(part))
    assert all(parameter.grad is None for parameter in model.parameters())


class Streamed(nn.Module):
    """A Transformer that is fed step by step."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = Transformer(3, 8, num_layers=1, num_heads=2)

    def forward(self, x: Tensor) -> Tensor:
        rows, state = [], None
        for step in x.split(1):
            row, state = self.inner(step, state)
            rows.append(row)
        return torch.cat(rows)


def test_refusals() -> None:
    x = drawn(5, 2, 3)
    with pytest.raises(UnsupportedError, match=r"no attention was seen in Linear"):
        attention_maps(nn.Linear(3, 4).double(), x)
    with pytest.raises(UnsupportedError, match=r"no attention was seen in GRU.*what its recurrence does is .* gates"):
        attention_maps(GRU(3, 4).double(), x)
    with pytest.raises(UnsupportedError, match=r"inner is fed in pieces"):
        attention_maps(Streamed().double(), x)
    with pytest.raises(UnsupportedError, match=r"what Bare looks at cannot be told.*dropout that stays on"):
        attention_maps(Bare(dropout_p=0.5), x)
    with pytest.raises(DataError, match=r"the batch is \[\[0, 2, 3\]\]: expected a step"):
        attention_maps(Bare(), x[:0])
    bad = x.clone()
    bad[1, 1] = torch.nan
    with pytest.raises(DataError, match=r"the weights of layers.0.attention are not finite in sequence 1, head 0"):
        attention_maps(Transformer(3, 8, num_heads=2).double(), bad)


def found_of(heads: int = 2) -> AttentionMaps:
    return attention_maps(in_double(Transformer(3, 16, num_layers=2, num_heads=heads)), drawn(6, 2, 3))


def test_table_and_dict() -> None:
    found = found_of()
    console = Console(width=80, file=StringIO())
    console.print(found.table())
    text = console.file.getvalue()  # type: ignore
    assert max(len(line) for line in text.splitlines()) <= 80
    assert text.count("layers.") == 2
    told = json.loads(json.dumps(found.to_dict(maps=True), allow_nan=False))
    np.testing.assert_allclose(told["layers"][1]["maps"], found.layers[1].maps)
    np.testing.assert_allclose(told["layers"][0]["entropy"], found.layers[0].entropy)
    assert "maps" not in found.to_dict()["layers"][0]


def test_pictures() -> None:
    found = found_of()
    figure = found.plot(1, labels="abcdef")
    shown = [axes for axes in figure.axes if axes.images]
    assert len(shown) == 4
    picture = np.ma.filled(np.ma.masked_invalid(shown[0].images[0].get_array()), np.nan)  # type: ignore
    lower = np.tri(6, dtype=bool)
    np.testing.assert_allclose(picture[lower], found.layers[0].maps[1, 0][lower])
    assert np.isnan(picture[~lower]).all()
    assert [tick.get_text() for tick in shown[0].get_xticklabels()] == list("abcdef")
    assert len([axes for axes in found_of(8).plot(layer="layers.1.attention").axes if axes.images]) == 8
    with pytest.raises(ConfigurationError, match=r"labels of layers.0.attention: expected 6"):
        found.plot(labels="abc")
    with pytest.raises(ConfigurationError, match=r"sample=2: expected a sequence of the batch, 0 to 1"):
        found.plot(2)
    with pytest.raises(ConfigurationError, match=r"no layer 'x': expected one of layers.0.attention, layers.1"):
        found.plot(layer="x")
    model = in_double(RecurrentSeq2Seq(5, 4, hidden_size=8))
    other = attention_maps(model, (torch.randint(0, 4, (6, 2)), torch.randint(0, 5, (9, 2))))
    other.plot(labels=("abcdef", "abcdefghi"))
    with pytest.raises(ConfigurationError, match=r"expected a pair, 6 of the queries and 9 of the keys"):
        other.plot(labels="abcdef")
