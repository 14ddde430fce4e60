"""Those who are compared: one file each, which says how its users would compute a `Case`."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Protocol

import numpy as np
from _case import Case

PEERS = {
    "throughtime": "ours",
    "torch.nn": "torch_nn",
    "JAX": "jax_scan",
    "Keras": "keras_layers",
    "ONNX Runtime": "onnx_runtime",
}
"""By the name that readers see."""


class Prepared(Protocol):
    """A case ready to be run, any number of times."""

    def run(self) -> Any:
        """Once, and all of it: nothing is still being computed when this returns."""

    def results(self) -> dict[str, np.ndarray]:
        """Output [time, batch, hidden] and, in training, gradients under torch's names and in torch's layout."""


class Unsupported(Exception):  # noqa: N818 - no error: there is nothing to measure
    """This peer has no such case."""


def prepare(peer: str, case: Case, threads: int) -> Prepared:
    """The case as `peer` computes it, with at most `threads` threads.

    Raises:
        Unsupported: where it has no such case.
        ImportError: where it is not installed.
    """
    return import_module(f"_peers.{PEERS[peer]}").prepare(case, threads)


def version(peer: str) -> str:
    """Name and version."""
    return import_module(f"_peers.{PEERS[peer]}").version()
