"""Families by name: what a name and its number mean, what is refused and how, and what each builds."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from throughtime import ConfigurationError
from throughtime.artifacts import explained
from throughtime.models import (
    FAMILIES,
    Autoregression,
    CategoricalHead,
    Markov,
    NetworkFamily,
    NormalHead,
    SequenceModel,
    StudentTHead,
    SymbolModelConfiguration,
    ValueModelConfiguration,
    family,
    family_settings,
)
from throughtime.nn import GRU, LSTM, RNN, CausalConv, Lags, MinGRU, MinLSTM, Sequential, Transformer

LAYERS = {
    "rnn": RNN,
    "gru": GRU,
    "lstm": LSTM,
    "mingru": MinGRU,
    "minlstm": MinLSTM,
    "tcn": CausalConv,
    "transformer": Transformer,
    "mlp": Sequential,
}
NUMBERS = {
    "rnn": "hidden_size",
    "gru": "hidden_size",
    "lstm": "hidden_size",
    "mingru": "hidden_size",
    "minlstm": "hidden_size",
    "tcn": "hidden_size",
    "transformer": "context",
    "mlp": "order",
    "segrnn": "segment",
    "ar": "order",
    "markov": "order",
}


def test_the_names() -> None:
    step_by_step = ("rnn", "gru", "lstm", "mingru", "minlstm", "tcn", "transformer", "mlp")
    assert (*step_by_step, "segrnn", "ar", "markov") == FAMILIES
    assert {name for name in FAMILIES if isinstance(family({"name": name}), NetworkFamily)} == set(LAYERS)
    assert [name for name in FAMILIES if family({"name": name}).direct] == ["segrnn"]


@pytest.mark.parametrize("name", FAMILIES)
def test_a_name_and_its_number(name: str) -> None:
    assert family_settings(name) == {"name": name}
    assert family_settings(f"{name}:12") == {"name": name, NUMBERS[name]: 12}
    chosen = family(family_settings(f"{name}:12"))
    assert chosen.name == name
    assert getattr(chosen, NUMBERS[name]) == 12
    assert family(chosen.model_dump()) == chosen


@pytest.mark.parametrize("text", ["nosuch", "LSTM", "", ":3", " lstm", "lstm ", "transformers:3"])
def test_an_unknown_name_is_told_the_known_ones(text: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^model '{text}' is not known; known: rnn, gru, .*, ar, markov$"):
        family_settings(text)


@pytest.mark.parametrize("number", ["", "x", "-1", "1.5", "1e3", "²", " 3", "3:4", "3,4"])
@pytest.mark.parametrize("name", FAMILIES)
def test_a_wrong_number_is_told_what_it_means(name: str, number: str) -> None:
    meaning = NUMBERS[name].replace("_", " ")
    with pytest.raises(ConfigurationError, match=f"^model '{name}:{number}': the number is its {meaning}, as in "):
        family_settings(f"{name}:{number}")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"name": "lstm", "hidden_size": 0}, "lstm.hidden_size = 0: Input should be greater than 0"),
        ({"name": "gru", "num_layers": 101}, "gru.num_layers = 101: .* less than or equal to 100"),
        ({"name": "tcn", "dropout": 1.0}, "tcn.dropout = 1.0: Input should be less than 1"),
        ({"name": "tcn", "num_heads": 2}, "tcn.num_heads = 2: there is no such setting"),
        ({"name": "transformer", "positions": "learnt"}, "'rotary', 'sinusoidal' or 'none'"),
        ({"name": "mlp", "activation": "step"}, "mlp.activation = 'step': Input should be 'relu', "),
        ({"name": "mlp", "order": 0}, "mlp.order = 0: Input should be greater than 0"),
        ({"name": "ar", "order": 0}, "ar.order = 0: Input should be greater than 0"),
        ({"name": "ar", "hidden_size": 3}, "ar.hidden_size = 3: there is no such setting"),
        ({"name": "markov", "order": -1}, "markov.order = -1: Input should be greater than or equal to 0"),
        ({"name": "markov", "order": 10**20}, "markov.order = 1(0)+: Input should be less than or equal to 62"),
        ({"name": "nosuch"}, "'nosuch' .* does not match any of the expected tags: 'rnn', 'gru'"),
        ({"hidden_size": 3}, "Unable to extract tag using discriminator 'name'"),
    ],
)
def test_settings_out_of_range_are_explained_in_a_line(settings: dict, words: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        family(settings)
    with pytest.raises(ConfigurationError, match=words) as told:
        raise ConfigurationError(explained(refusal.value))
    assert "\n" not in str(told.value)


def test_settings_stand_still() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        family({"name": "gru"}).hidden_size = 3  # type: ignore[misc]


@pytest.mark.parametrize("name", LAYERS)
def test_networks_of_symbols(name: str) -> None:
    small = {"name": name, "hidden_size": 8, "dropout": 0.25}
    model = SymbolModelConfiguration(vocabulary=5, embedding_size=3, family=family(small)).build()
    assert isinstance(model, SequenceModel)
    assert isinstance(model.head, CategoricalHead)
    assert model.size == 5
    embedding, dropout = model.embedding  # type: ignore[misc]
    assert (embedding.num_embeddings, embedding.embedding_dim, dropout.p) == (5, 3, 0.25)
    layers, after = model.backbone  # type: ignore[misc]
    assert isinstance(layers, LAYERS[name])
    assert after.p == 0.25
    assert model(torch.zeros(3, 2, dtype=torch.long))[0].batch_shape == (3, 2)


@pytest.mark.parametrize("head", ["normal", "student_t"])
@pytest.mark.parametrize("name", LAYERS)
def test_networks_of_values(name: str, head: str) -> None:
    small = family({"name": name, "hidden_size": 8})
    model = ValueModelConfiguration(observed=2, known=3, lags=(1, 4), head=head, family=small).build()
    assert isinstance(model, SequenceModel)
    assert isinstance(model.head, {"normal": NormalHead, "student_t": StudentTHead}[head])
    assert (model.size, model.residual) == (2, 2)
    changes, (layers, _) = model.backbone  # type: ignore[misc]
    assert (changes.lags, changes.relative, changes.features) == ((1, 4), True, 2)
    assert isinstance(layers, LAYERS[name])
    assert model(torch.zeros(3, 2, 5))[0].batch_shape == (3, 2)
    assert small.head == "student_t"


def test_settings_reach_the_layers() -> None:
    (recurrent, *_) = family({"name": "lstm", "hidden_size": 4, "num_layers": 3, "dropout": 0.5})._backbone(2).layers
    assert (recurrent.hidden_size, recurrent.num_layers, recurrent.dropout) == (4, 3, 0.5)
    (single, *_) = family({"name": "lstm", "hidden_size": 4, "dropout": 0.5})._backbone(2).layers
    assert single.dropout == 0  # there is nothing between
    (conv, *_) = family({"name": "tcn", "hidden_size": 4, "num_layers": 2, "kernel_size": 5})._backbone(2).layers
    assert (conv.num_layers, conv.kernel_size, conv.receptive_field) == (2, 5, 1 + 2 * 4 * (1 + 2))
    settings = {"name": "transformer", "hidden_size": 6, "num_heads": 3, "context": 7, "positions": "sinusoidal"}
    (attention, *_) = family(settings)._backbone(2).layers
    assert (attention.num_heads, attention.context, attention.positions) == (3, 7, "sinusoidal")


def test_a_perceptron_sees_its_order_and_no_more() -> None:
    settings = {"name": "mlp", "hidden_size": 4, "order": 3, "num_layers": 2, "activation": "gelu"}
    window = family(settings).layers(2)
    assert [type(layer) for layer in window] == [Lags, nn.Linear, nn.GELU, nn.Linear, nn.GELU]
    x = torch.randn(8, 1, 2, requires_grad=True)
    torch.manual_seed(0)
    (gradient,) = torch.autograd.grad(window(x)[0][6].sum(), x)
    assert gradient[:, 0].any(-1).tolist() == [False] * 4 + [True] * 3 + [False]


def test_autoregression_and_counts() -> None:
    model = ValueModelConfiguration(observed=2, known=3, lags=(1, 4), head="normal", family=family({"name": "ar"}))
    built = model.build()
    assert isinstance(built, Autoregression)
    assert (built.observed, built.order, built.known) == (2, 1, 3)
    counted = SymbolModelConfiguration(vocabulary=5, family=family(family_settings("markov:0"))).build()
    assert isinstance(counted, Markov)
    assert (counted.size, counted.order) == (5, 0)


def test_each_refuses_what_it_is_not_of() -> None:
    with pytest.raises(ConfigurationError, match=r"^ar is a model of values, and these are symbols: use markov, mlp"):
        family({"name": "ar"}).of_symbols(5, 3)
    with pytest.raises(ConfigurationError, match=r"^markov counts symbols, and these are values: use ar, mlp or a"):
        family({"name": "markov"}).of_values(1, 0, (1,), "normal")
    with pytest.raises(ConfigurationError, match=r"^head 'student_t': ar has normal residuals, .*: head='normal'$"):
        family({"name": "ar"}).of_values(1, 0, (1,), "student_t")
    assert family({"name": "ar"}).head == "normal"


@pytest.mark.parametrize("symbols", [True, False])
@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            {"hidden_size": 6, "num_heads": 4},
            r"^Transformer\(hidden_size=6, num_heads=4\): the heads share the features equally, so hidden_size must be "
            "a multiple of num_heads$",
        ),
        ({"hidden_size": 6, "num_heads": 2}, r"^Transformer\(hidden_size=6, num_heads=2, positions='rotary'\): "),
    ],
)
def test_heads_that_do_not_fit_are_told_in_a_line(symbols: bool, settings: dict, words: str) -> None:
    chosen = family({"name": "transformer", **settings})
    with pytest.raises(ConfigurationError, match=words):
        _ = chosen.of_symbols(5, 3) if symbols else chosen.of_values(1, 0, (1,), "normal")


def test_too_many_symbols_in_a_row_are_told_at_once() -> None:
    with pytest.raises(ConfigurationError, match=r"256\^21 n-grams cannot be numbered .* the order is at most 6"):
        family({"name": "markov", "order": 20}).of_symbols(256, 3)
    with pytest.raises(ConfigurationError, match=r"cannot be numbered in 63 bits; .* the order is at most 61"):
        Markov(2, 10**30)


def test_words() -> None:
    words = family({"name": "transformer", "hidden_size": 8, "context": 16}).words
    assert words == ("hidden size 8, dropout 0.0, num layers 2, num heads 4, context 16, positions rotary")
    assert family({"name": "ar", "order": 24}).words == "order 24"
