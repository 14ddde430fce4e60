"""The report: verdict, sparkline, five numbers, remedies, and the document of the page."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from throughtime import Batch
from throughtime.inspection import Report, gradient_flow, report
from throughtime.inspection.reporting.report import sparkline
from throughtime.models import RecurrentFamily, SymbolModelConfiguration, negative_log_likelihood
from throughtime.models.losses import mean_squared_error
from throughtime.nn import GRU, LSTM, RNN, CausalConv


def numbers(steps: int = 40, sequences: int = 6, **marks: Tensor) -> Batch:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(steps, sequences, 2, generator=generator, dtype=torch.float64)
    return Batch(x, torch.randn(steps, sequences, 8, generator=generator, dtype=torch.float64), **marks)


def reported(layer: nn.Module, batch: Batch, **settings: Any) -> Report:
    return report(layer, batch, mean_squared_error, **settings)


@pytest.fixture(scope="module")
def lstm() -> Report:
    torch.manual_seed(0)
    return reported(LSTM(2, 8, num_layers=2).double(), numbers(), title="two layers", truncation=10)


def test_the_flow_is_that_of_gradient_flow() -> None:
    torch.manual_seed(0)
    layer, batch = GRU(2, 8).double(), numbers()
    found, alone = reported(layer, batch), gradient_flow(layer, batch, mean_squared_error)
    assert found.sentence == alone.verdict.sentence
    assert np.array_equal(found.flow.layer.norms, alone.layer.norms, equal_nan=True)


def test_the_document_is_json_and_nothing_in_it_is_lost(lstm: Report) -> None:
    document = json.loads(json.dumps(lstm.document, allow_nan=False))
    assert document == lstm.document
    assert (document["version"], document["title"], document["truncation"]) == (1, "two layers", 10)
    assert document["verdict"]["word"] == lstm.flow.verdict.word
    assert [figure["name"] for figure in document["figures"]] == [figure.name for figure in lstm.figures]
    assert len(document["figures"]) == 5
    assert len(document["layers"]) == 2


def test_of_a_short_sequence_every_loss_can_be_asked_for(lstm: Report) -> None:
    for layer in lstm.document["layers"]:
        assert layer["anchors"] == list(range(40))


def test_what_flows_is_what_was_measured(lstm: Report) -> None:
    for layer, found in zip(lstm.document["layers"], lstm.flow.layers, strict=True):
        for row, anchor in enumerate(lstm.flow.anchors):
            for at, sample in enumerate(lstm.document["samples"]):
                shown = layer["flow"][at][layer["anchors"].index(anchor)]
                expected = np.log10(found.norms[row, :, sample])
                assert np.allclose(np.array(shown, float), expected, atol=6e-4, equal_nan=True)


def test_shares_sum_to_one_where_something_flows(lstm: Report) -> None:
    for layer in lstm.document["layers"]:
        shares = np.array(layer["shares"], float)  # [sample, anchor, path, step]
        totals = shares.sum(2)
        assert np.isfinite(totals).any()
        assert np.allclose(totals[np.isfinite(totals)], 1, atol=0.02)
        assert math.isnan(totals[0, -1, -1])  # at the loss itself nothing has come from a later step
    assert "from above" in lstm.document["layers"][0]["paths"]
    assert "from above" not in lstm.document["layers"][1]["paths"]


def test_the_jumps_of_a_plain_rnn_are_squashing_and_weights() -> None:
    torch.manual_seed(0)
    document = reported(RNN(2, 8).double(), numbers()).document
    (layer,) = document["layers"]
    flow, split = np.array(layer["flow"], float), layer["split"]
    assert set(split) == {"squashing", "weights"}
    jumps = (flow[..., :-1] - flow[..., 1:]) * math.log(10)
    parts = np.array(split["squashing"], float) + np.array(split["weights"], float)
    usable = np.isfinite(jumps)
    assert np.allclose(parts[..., :-1][usable], jumps[usable], atol=5e-3)


def test_resets_padding_and_losses_that_do_not_count() -> None:
    resets = torch.zeros(40, 6, dtype=torch.bool)
    resets[25, 0] = True
    weights = torch.ones(40, 6, dtype=torch.float64)
    weights[5] = 0
    document = reported(GRU(2, 8).double(), numbers(resets=resets, weights=weights)).document
    (layer,) = document["layers"]
    last = layer["flow"][0][layer["anchors"].index(39)]
    assert all(value is None for value in last[:25])
    assert all(isinstance(value, float) for value in last[25:])
    assert document["begun"][0][30] == 25
    assert document["losses"][0][5] is None
    assert 5 not in layer["anchors"]


def test_symbols_are_written_as_they_are_told() -> None:
    torch.manual_seed(0)
    model = SymbolModelConfiguration(vocabulary=3, family=RecurrentFamily(name="lstm", hidden_size=4)).build()
    tokens = torch.randint(3, (13, 2))
    batch = Batch(tokens[:-1], tokens[1:])
    document = report(model, batch, negative_log_likelihood, symbols=lambda index: "a<>"[index]).document
    assert document["symbols"][1] == ["a<>"[index] for index in tokens[:-1, 1]]
    assert document["targets"][0] == ["a<>"[index] for index in tokens[1:, 0]]
    assert document["inputs"] == []


def test_a_model_without_a_recurrence() -> None:
    document = reported(CausalConv(2, 8, num_layers=1).double(), numbers()).document
    (layer,) = document["layers"]
    assert not layer["recurrent"]
    assert layer["shares"] == [[[] for _ in layer["anchors"]] for _ in document["samples"]]
    assert layer["weights"] == []
    assert any("no recurrence" in note for note in document["notes"])
    assert "-Infinity" in layer["flow"][0][-1]  # beyond the receptive field


def test_a_gradient_that_overflows_is_written_in_words() -> None:
    layer = RNN(2, 8, nonlinearity="relu", bias=False)
    with torch.no_grad():
        layer.weight_ih_l0.fill_(1e-30)
        layer.weight_hh_l0.copy_(1e3 * torch.eye(8))
    batch = Batch(torch.full((20, 2, 2), 1e-10), torch.zeros(20, 2, 8))
    document = report(layer, batch, lambda output, target: output.sum(-1)).document
    assert document["verdict"]["word"] == "exploding"
    assert "Infinity" in document["layers"][0]["flow"][0][-1]
    json.dumps(document, allow_nan=False)


@pytest.mark.parametrize(("steps", "samples"), [(40, 4), (300, 4), (700, 2), (1300, 1)])
def test_long_sequences_are_shown_fewer_at_a_time(steps: int, samples: int) -> None:
    layer = RNN(2, 8, nonlinearity="relu", bias=False).double()
    with torch.no_grad():  # all arrives, so that no remedy is looked for
        layer.weight_ih_l0.abs_()
        layer.weight_hh_l0.copy_(torch.eye(8))
    x = torch.ones(steps, 4, 2, dtype=torch.float64)
    found = report(layer, Batch(x, x), lambda output, target: output.sum(-1), anchors=1)
    assert found.flow.verdict.word == "healthy"
    assert len(found.document["samples"]) == samples
    assert len(found.document["layers"][0]["anchors"]) == (40 if steps == 40 else 1)


def test_progress_ends_at_one() -> None:
    told: list[float] = []
    reported(RNN(2, 8).double(), numbers(), progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 1


def test_sparklines() -> None:
    assert sparkline(np.array([0.0, np.nan, 7.0])) == "▁ █"
    assert sparkline(np.full(4, -np.inf)) == "    "
    assert sparkline(np.zeros(3)) == "▁▁▁"
    assert len(sparkline(np.arange(1000.0))) == 60
