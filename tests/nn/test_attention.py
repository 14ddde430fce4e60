from __future__ import annotations

import pytest
import torch
from torch import nn

from throughtime._errors import ConfigurationError, ShapeError
from throughtime.nn import MultiHeadAttention
from throughtime.ops import attention

TIME, SOURCE_TIME, BATCH, SIZE, SOURCE, HEADS = 5, 7, 3, 6, 4, 2


def pair(cross, bias=True):
    """Ours and torch's with the same weights, in float64."""
    source = SOURCE if cross else None
    ours = MultiHeadAttention(SIZE, HEADS, source_size=source, bias=bias, dtype=torch.float64)
    theirs = nn.MultiheadAttention(SIZE, HEADS, bias=bias, kdim=source, vdim=source, dtype=torch.float64)
    parts = (ours.query, ours.key, ours.value)
    with torch.no_grad():
        if cross:
            for name, part in zip(("q_proj_weight", "k_proj_weight", "v_proj_weight"), parts, strict=True):
                getattr(theirs, name).copy_(part.weight)
        else:
            theirs.in_proj_weight.copy_(torch.cat([part.weight for part in parts]))
        theirs.out_proj.weight.copy_(ours.output.weight)
        if bias:
            theirs.in_proj_bias.copy_(torch.cat([part.bias for part in parts]))
            theirs.out_proj.bias.copy_(ours.output.bias)
    return ours, theirs


def ours_of(theirs_gradients, cross, bias):
    """torch's gradients, each of one of our parameters, in our order: query, key, value, output."""
    named = dict(theirs_gradients)
    weights = (
        [named[f"{name}_proj_weight"] for name in "qkv"] if cross else list(named["in_proj_weight"].chunk(3))
    ) + [named["out_proj.weight"]]
    biases = [*named["in_proj_bias"].chunk(3), named["out_proj.bias"]] if bias else []
    return [part for both in zip(weights, biases, strict=True) for part in both] if bias else weights


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("masking", ["none", "mask", "lengths", "causal", "all"])
@pytest.mark.parametrize("cross", [False, True])
def test_against_torchs(cross, masking, bias, close):
    ours, theirs = pair(cross, bias)
    query = torch.randn(TIME, BATCH, SIZE, dtype=torch.float64, requires_grad=True)
    source = torch.randn(SOURCE_TIME, BATCH, SOURCE, dtype=torch.float64, requires_grad=True) if cross else query
    mask = (torch.rand(TIME, len(source)) < 0.5) | (torch.arange(len(source)) == 0)
    lengths = torch.tensor([len(source), 1, 3])
    earlier = torch.ones(TIME, len(source), dtype=torch.bool).tril()
    given, theirs_given = {}, {"attn_mask": torch.ones_like(mask)}
    if masking in ("mask", "all"):
        given["mask"] = mask
        theirs_given["attn_mask"] = theirs_given["attn_mask"] & mask
    if masking in ("causal", "all"):
        given["causal"] = True
        theirs_given["attn_mask"] = theirs_given["attn_mask"] & earlier
    if masking in ("lengths", "all"):
        given["source_lengths"] = lengths
        theirs_given["key_padding_mask"] = torch.arange(len(source)) >= lengths[:, None]
    theirs_given["attn_mask"] = ~theirs_given["attn_mask"]  # torch's mask is true where nothing is seen
    wanted, wanted_weights = theirs(query, source, source, average_attn_weights=False, **theirs_given)
    variables = [query, source] if cross else [query]
    cotangent = torch.randn_like(wanted)
    names, parameters = zip(*theirs.named_parameters(), strict=True)
    expected = torch.autograd.grad(wanted, [*variables, *parameters], cotangent)
    expected_ours = ours_of(zip(names, expected[len(variables) :], strict=True), cross, bias)
    for weights in (False, True):
        output, found_weights = ours(query, source if cross else None, weights=weights, **given)
        close([output], [wanted])
        found = torch.autograd.grad(output, [*variables, *ours.parameters()], cotangent)
        close(list(found), [*expected[: len(variables)], *expected_ours], factor=10)
        if weights:
            close([found_weights], [wanted_weights])


def test_against_the_equation():
    layer = MultiHeadAttention(SIZE, HEADS, source_size=SOURCE, dtype=torch.float64)
    query = torch.randn(TIME, BATCH, SIZE, dtype=torch.float64)
    source = torch.randn(SOURCE_TIME, BATCH, SOURCE, dtype=torch.float64)
    mask = torch.rand(BATCH, TIME, SOURCE_TIME) < 0.5
    mask[1, 2] = False
    found, _ = layer(query, source, mask=mask)
    for index in range(BATCH):
        heads = []
        for head in range(HEADS):
            rows = slice(head * SIZE // HEADS, (head + 1) * SIZE // HEADS)
            q = query[:, index] @ layer.query.weight[rows].T + layer.query.bias[rows]
            k = source[:, index] @ layer.key.weight[rows].T + layer.key.bias[rows]
            v = source[:, index] @ layer.value.weight[rows].T + layer.value.bias[rows]
            heads.append(attention(q, k, v, mask[index]))
        wanted = torch.cat(heads, -1) @ layer.output.weight.T + layer.output.bias
        torch.testing.assert_close(found[:, index], wanted)
    torch.testing.assert_close(found[2, 1], layer.output.bias)


def test_padding_of_the_source_is_not_read_even_if_it_is_no_number():
    layer = MultiHeadAttention(SIZE, HEADS, source_size=SOURCE)
    query, source = torch.randn(TIME, BATCH, SIZE), torch.randn(SOURCE_TIME, BATCH, SOURCE)
    source[3:, 1] = torch.nan
    source[:, 2] = torch.nan
    lengths = torch.tensor([SOURCE_TIME, 3, 0])
    output, weights = layer(query, source, source_lengths=lengths, weights=True)
    torch.testing.assert_close(output[:, 1:2], layer(query[:, 1:2], source[:3, 1:2])[0])
    torch.testing.assert_close(output[:, 2], layer.output.bias.expand(TIME, -1))
    assert weights is not None
    assert not weights[1, ..., 3:].any()
    torch.testing.assert_close(layer(query, source, source_lengths=lengths)[0], output)


def test_dropout_is_of_training_and_keeps_the_mean():
    layer = MultiHeadAttention(4, 1, dropout=0.5, dtype=torch.float64)
    x = torch.randn(6, 1, 4, dtype=torch.float64)
    wanted = layer.eval()(x)[0]
    layer.train()
    for weights in (False, True):
        drawn, _ = layer(x.expand(-1, 4000, -1), weights=weights)
        assert drawn.std(1).min() > 1e-3
        assert ((drawn.mean(1) - wanted[:, 0]).abs() <= 5.5 * drawn.std(1) / 4000**0.5).all()


def test_refusals():
    with pytest.raises(ConfigurationError, match="a multiple of num_heads"):
        MultiHeadAttention(6, 4)
    with pytest.raises(ConfigurationError, match="probability"):
        MultiHeadAttention(6, 2, dropout=1.0)
    layer, x = MultiHeadAttention(6, 2), torch.zeros(5, 3, 6)
    with pytest.raises(ShapeError, match=r"a query \[5, 6\]"):
        layer(x[:, 0])
    with pytest.raises(ShapeError, match="of the same batch"):
        layer(x, x[:, :2])
    with pytest.raises(ShapeError, match="expected input_size=6"):
        layer(x, x[..., :4])
    with pytest.raises(ShapeError, match=r"a mask \[3, 5\] of torch.bool, expected bool \[3, 5, 5\]"):
        layer(x, mask=torch.ones(3, 5, dtype=torch.bool))
    with pytest.raises(ShapeError, match=r"of torch\.float32"):
        layer(x, mask=torch.ones(5, 5))
    with pytest.raises(ShapeError, match="a length of 6"):
        layer(x, source_lengths=torch.tensor([5, 6, 1]))
