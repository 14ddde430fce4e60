from __future__ import annotations

import pytest

from throughtime._errors import ConfigurationError, UnsupportedError
from throughtime.ops import KINDS, Call, choose


@pytest.mark.parametrize("kind", KINDS)
def test_auto_takes_the_best_that_supports_the_call(kind):
    assert choose(Call(kind)).backend == "torch"
    assert choose(Call(kind, lengths=True)).backend == "torch"
    choice = choose(Call(kind, options=("layer_norm", "zoneout"), resets=True))
    assert choice.backend == "reference"
    assert choice.reason == "torch has no layer_norm and no zoneout and no resets="


def test_only_auto_chooses():
    assert choose(Call("gru"), "reference").backend == "reference"
    assert choose(Call("gru"), "torch").reason == "asked for"
    with pytest.raises(UnsupportedError, match="'torch' cannot run this gru: torch has no resets=; use backend='auto'"):
        choose(Call("gru", resets=True), "torch")
    with pytest.raises(UnsupportedError, match="this version has no native kernels"):
        choose(Call("gru"), "native")
    with pytest.raises(ConfigurationError, match="backend='fast' is unknown: choose one of 'auto', 'native'"):
        choose(Call("gru"), "fast")
