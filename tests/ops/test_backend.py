from __future__ import annotations

import pytest
import torch

from throughtime._errors import ConfigurationError, UnsupportedError
from throughtime.ops import KINDS, Call, backend, choose

ALL = ("baseline", "avx2", "avx512", "avx512_bf16")


@pytest.fixture
def installed(monkeypatch):
    """Pretend that the kernels are there, with these instructions; or that they are not."""

    def pretend(sets=ALL):
        monkeypatch.setattr(backend, "why_missing", lambda: None if sets else "there are no kernels")
        monkeypatch.setattr(backend, "sets", lambda: sets)

    return pretend


@pytest.mark.parametrize("kind", KINDS)
def test_auto_takes_the_best_that_supports_the_call(kind, installed):
    installed()
    for call in (Call(kind), Call(kind, lengths=True), Call(kind, resets=True), Call(kind, dtype=torch.bfloat16)):
        assert choose(call).backend == "native"
        assert choose(call).reason == "the native kernels are the fastest"
    choice = choose(Call(kind, options=("layer_norm", "zoneout"), resets=True))
    assert choice.backend == "reference"
    assert choice.reason == (
        "the kernels have no layer_norm and no zoneout; torch has no layer_norm and no zoneout and no resets="
    )


@pytest.mark.parametrize("kind", KINDS)
def test_without_kernels_auto_takes_torch_and_says_why(kind, installed):
    installed(())
    assert choose(Call(kind)).backend == "torch"
    assert choose(Call(kind, lengths=True)).reason == "there are no kernels"
    assert choose(Call(kind, resets=True)).reason == "there are no kernels; torch has no resets="
    with pytest.raises(UnsupportedError, match=f"'native' cannot run this {kind}: there are no kernels; use backend="):
        choose(Call(kind), "native")


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (Call("gru", dtype=torch.float64), "the kernels compute in float32, not in torch.float64"),
        (Call("gru", dtype=torch.float16), "the kernels compute in float32, not in torch.float16"),
        (Call("gru", device="cuda"), "the kernels run on the CPU, not on cuda"),
        (Call("lstm", projected=True), "the kernels have no projection"),
        (Call("lstm", dtype=torch.bfloat16), "bfloat16 kernels need the instructions avx512_bf16"),
    ],
    ids=str,
)
def test_what_the_kernels_lack_torch_does(call, reason, installed):
    installed(ALL[:3])
    assert choose(call) == backend.Choice("torch", reason)
    with pytest.raises(UnsupportedError, match=reason):
        choose(call, "native")


def test_only_auto_chooses(installed):
    installed()
    assert choose(Call("gru"), "reference").backend == "reference"
    assert choose(Call("gru"), "torch").reason == choose(Call("gru"), "native").reason == "asked for"
    with pytest.raises(UnsupportedError, match="'torch' cannot run this gru: torch has no resets=; use backend='auto'"):
        choose(Call("gru", resets=True), "torch")
    with pytest.raises(ConfigurationError, match="backend='fast' is unknown: choose one of 'auto', 'native'"):
        choose(Call("gru"), "fast")
