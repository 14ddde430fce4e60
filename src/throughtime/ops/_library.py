"""The native kernels as C offers them: finding the shared object, its structs and its functions.

The only module of the house that knows ctypes. `native/include/throughtime.h` says what everything means.
"""

from __future__ import annotations

import ctypes
import os
import sys
from ctypes import c_char_p, c_int, c_int32, c_int64, c_void_p
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from .._errors import ConfigurationError, ShapeError, ThroughtimeError, UnsupportedError
from ._constant import constant

VERSION = 1
KINDS = {"rnn_tanh": 0, "rnn_relu": 1, "gru": 2, "lstm": 3}
PRECISIONS = {"float32": 0, "bfloat16": 1}
SETS = {"baseline": 1, "avx2": 2, "avx512": 3, "avx512_bf16": 4}
"""The sets of instructions, each able to do what those before it do."""

_WRONG_SIZES = (7, 8, 9)
_NOT_HERE = (5, 6)


class Layer(ctypes.Structure):
    """`throughtime_layer`."""

    _fields_ = (
        *((name, c_int32) for name in ("version", "kind", "precision", "set", "reverse", "threads")),
        *((name, c_int64) for name in ("time", "batch", "input", "hidden")),
        *((name, c_void_p) for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")),
        *((name, c_void_p) for name in ("packed", "lengths", "resets")),
        *((name, c_int64) for name in ("resets_time", "resets_batch")),
    )


class Sizes(ctypes.Structure):
    """`throughtime_sizes`."""

    _fields_ = tuple(
        (name, c_int64) for name in ("packed", "save", "forward_scratch", "backward_scratch", "trace_parts")
    )


_SEQUENCES = (
    ("x", c_void_p),
    *((name, c_int64) for name in ("x_time", "x_batch", "x_feature")),
    *((name, c_void_p) for name in ("h0", "c0")),
    *((name, c_int64) for name in ("h0_batch", "c0_batch")),
    ("output", c_void_p),
    *((name, c_int64) for name in ("output_time", "output_batch")),
)


class ForwardCall(Layer):
    """`throughtime_forward_call`; its first member, the layer, is the class it derives from."""

    _fields_ = (*_SEQUENCES, *((name, c_void_p) for name in ("h_n", "c_n", "save", "scratch")))


class BackwardCall(Layer):
    """`throughtime_backward_call`; its first member, the layer, is the class it derives from."""

    _fields_ = (
        *_SEQUENCES,
        *((name, c_void_p) for name in ("save", "d_output")),
        *((name, c_int64) for name in ("d_output_time", "d_output_batch")),
        *((name, c_void_p) for name in ("d_h_n", "d_c_n", "d_x", "d_h0", "d_c0")),
        *((name, c_void_p) for name in ("d_weight_ih", "d_weight_hh", "d_bias_ih", "d_bias_hh", "scratch")),
    )


class Product(ctypes.Structure):
    """`throughtime_product`."""

    _fields_ = (
        *((name, c_int32) for name in ("version", "precision", "set", "threads")),
        *((name, c_int64) for name in ("rows", "input", "output")),
        ("x", c_void_p),
        ("x_row", c_int64),
        *((name, c_void_p) for name in ("weight", "bias", "y")),
        ("y_row", c_int64),
        ("d_y", c_void_p),
        ("d_y_row", c_int64),
        *((name, c_void_p) for name in ("d_x", "d_weight", "d_bias", "scratch")),
    )


@dataclass(frozen=True)
class Missing:
    """There are no kernels.

    Args:
        reason: why, in words that end no sentence.
    """

    reason: str


@dataclass(frozen=True)
class Library:
    """The kernels, found and of the right version.

    Args:
        path: the shared object's.
        sets: the sets of instructions that both this machine and the build have, the best last.
        chosen: the one that calls take which name none.
        functions: the shared object.
    """

    path: Path
    sets: tuple[str, ...]
    chosen: str
    functions: ctypes.CDLL

    def measure(self, layer: Layer) -> Sizes:
        """What a call of `layer` needs, in bytes."""
        sizes = Sizes()
        self.check(self.functions.throughtime_measure(ctypes.byref(layer), ctypes.byref(sizes)), layer)
        return sizes

    def forward(self, call: ForwardCall) -> None:
        """Run one layer in one direction."""
        self.check(self.functions.throughtime_forward(ctypes.byref(call), 1), call)

    def pack(self, layer: Layer, packed: int) -> None:
        """Write the weights of `layer`, as the kernels read them, to `packed`."""
        self.check(self.functions.throughtime_pack(ctypes.byref(layer), packed), layer)

    def backward(self, call: BackwardCall) -> None:
        """Compute the gradients of what `forward` ran."""
        self.check(self.functions.throughtime_backward(ctypes.byref(call)), call)

    def trace(self, layer: Layer, save: int, trace: int) -> None:
        """Write what the forward saved at `save` readably to `trace`."""
        self.check(self.functions.throughtime_trace(ctypes.byref(layer), save, trace), layer)

    def measure_product(self, product: Product) -> Sizes:
        """What a product needs, in bytes."""
        sizes = Sizes()
        self.check(self.functions.throughtime_measure_product(ctypes.byref(product), ctypes.byref(sizes)), product)
        return sizes

    def product_forward(self, product: Product) -> None:
        """Compute y = x W' + b."""
        self.check(self.functions.throughtime_product_forward(ctypes.byref(product)), product)

    def product_backward(self, product: Product) -> None:
        """Compute the gradients of `product_forward`."""
        self.check(self.functions.throughtime_product_backward(ctypes.byref(product)), product)

    def check(self, status: int, given: Layer | Product) -> None:
        """Turn a status that is not 0 into an error that repeats the sizes.

        Raises:
            ShapeError: for sizes and lengths.
            UnsupportedError: where the machine or the build lacks the instructions.
            ThroughtimeError: for what the callers here should never let happen.
        """
        if status == 0:
            return
        message = self.functions.throughtime_message(status).decode()
        error = ShapeError if status in _WRONG_SIZES else UnsupportedError if status in _NOT_HERE else ThroughtimeError
        raise error(f"the native kernels refuse {_described(given)}: {message}")


@lru_cache(maxsize=1)
def library() -> Library | Missing:
    """The kernels, looked for once: those of the package, or those that THROUGHTIME_LIBRARY names.

    Raises:
        ConfigurationError: where THROUGHTIME_SET asks for what is unknown, or not here.
    """
    wanted = os.environ.get("THROUGHTIME_SET") or None
    if wanted is not None and wanted not in SETS:
        raise ConfigurationError(f"THROUGHTIME_SET={wanted} is unknown: expected one of {', '.join(SETS)}")
    path = _find()
    if isinstance(path, Missing):
        return path
    try:
        functions = _open(path)
    except (OSError, AttributeError) as error:
        return Missing(f"{path} cannot be used ({str(error).splitlines()[0]}); install throughtime again")
    version = functions.throughtime_version()
    if version != VERSION:
        return Missing(f"{path} is of version {version}, this package of {VERSION}; install throughtime again")
    sets = tuple(name for name, number in SETS.items() if functions.throughtime_set_here(number))
    if not sets:
        return Missing(f"{path} was built for another processor; install throughtime again on this machine")
    if wanted is not None and wanted not in sets:
        raise ConfigurationError(f"THROUGHTIME_SET={wanted}: this machine, or this build, has {', '.join(sets)} only")
    return Library(path, sets, wanted or sets[-1], functions)


@constant
def why_missing() -> str | None:
    """Why there are no kernels; `None` where there are."""
    found = library()
    return found.reason if isinstance(found, Missing) else None


@constant
def sets() -> tuple[str, ...]:
    """The sets of instructions that a call may take, up to the one that calls take which name none; the best last."""
    found = library()
    return () if isinstance(found, Missing) else found.sets[: found.sets.index(found.chosen) + 1]


def kernels() -> dict[str, str]:
    """The state of the native kernels in words, for people.

    Example:
        >>> list(kernels())[0]
        'native kernels'
    """
    found = library()
    if isinstance(found, Missing):
        return {"native kernels": f"none: {found.reason}"}
    others = ", ".join(name for name in found.sets if name != found.chosen)
    return {
        "native kernels": f"{found.path}, version {VERSION}",
        "instructions": f"{found.chosen} (THROUGHTIME_SET chooses another: {others})" if others else found.chosen,
    }


def _find() -> Path | Missing:
    """The shared object asked for, or the package's, which may lie apart from its Python while it is edited."""
    asked = os.environ.get("THROUGHTIME_LIBRARY")
    if asked:
        return Path(asked) if Path(asked).is_file() else Missing(f"THROUGHTIME_LIBRARY={asked} is no file")
    for folder in sys.modules[__name__.partition(".")[0]].__path__:
        path = Path(folder, "_native", "libthroughtime.so")
        if path.is_file():
            return path
    return Missing("throughtime was installed without the native kernels, which takes a C++ compiler")


def _open(path: Path) -> ctypes.CDLL:
    """Load the shared object; its OpenMP symbols must come from the library that torch itself runs on."""
    try:
        functions = ctypes.CDLL(str(path))
    except OSError:
        for name in _loaded("libgomp"):
            ctypes.CDLL(name, mode=ctypes.RTLD_GLOBAL)
        functions = ctypes.CDLL(str(path))
    pointers = {"measure": 2, "measure_product": 2, "pack": 2, "backward": 1, "trace": 3}
    pointers |= {"product_forward": 1, "product_backward": 1}
    for name, count in pointers.items():
        function = getattr(functions, f"throughtime_{name}")
        function.argtypes, function.restype = (c_void_p,) * count, c_int
    functions.throughtime_forward.argtypes = (c_void_p, c_int64)
    functions.throughtime_set_here.argtypes = functions.throughtime_message.argtypes = (c_int,)
    functions.throughtime_message.restype = c_char_p
    functions.throughtime_version.argtypes = ()
    return functions


def _loaded(name: str) -> list[str]:
    """The paths of libraries in this process whose file name begins with `name`."""
    with open("/proc/self/maps", encoding="utf-8") as maps:
        paths = {line.split(maxsplit=5)[-1].strip() for line in maps if "/" in line}
    return sorted(path for path in paths if Path(path).name.startswith(name))


def _described(given: Layer | Product) -> str:
    if isinstance(given, Product):
        return f"a product of [{given.rows}, {given.input}] and [{given.output}, {given.input}]"
    kind = next((name for name, number in KINDS.items() if number == given.kind), f"kind {given.kind}")
    return f"{kind} over [time, batch, input] = [{given.time}, {given.batch}, {given.input}], hidden = {given.hidden}"


def address(structs: ctypes.Array[Any]) -> int:
    """Where an array of structs begins in memory; it must outlive the use of that."""
    return ctypes.addressof(structs)


_forked = False


def threads() -> int:
    """How many threads a call may take: torch's number, but after a fork one, since OpenMP's do not survive it."""
    return 1 if _forked else torch.get_num_threads()


def _note_fork() -> None:
    global _forked
    _forked = True


os.register_at_fork(after_in_child=_note_fork)
