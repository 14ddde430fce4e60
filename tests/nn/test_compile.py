from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import throughtime

SCRIPT = """
import torch
from throughtime.nn import GRU, LSTM, GRUCell, Recurrent

x, lengths, resets = torch.randn(4, 2, 3), torch.tensor([4, 1]), torch.ones(4, 2, dtype=torch.bool)
for layer in (LSTM(3, 5), GRU(3, 5, zoneout=0.1).eval(), Recurrent(GRUCell(3, 5))):
    compiled = torch.compile(layer, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(x)[0], layer(x)[0])
    if not isinstance(layer, LSTM):
        torch.testing.assert_close(compiled(x, lengths=lengths)[0], layer(x, lengths=lengths)[0])
    torch.testing.assert_close(compiled(x, resets=resets)[0], layer(x, resets=resets)[0])
"""


def test_layers_compile_without_a_break():
    """In a process of its own: the shape checks that tests run under are none that Dynamo can trace."""
    environment = {**os.environ, "PYTHONPATH": str(Path(throughtime.__file__).parents[1])}
    result = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
