"""A random order that is computed where it is needed and never held."""

from __future__ import annotations

import numpy as np

_ROUNDS = 8


def permuted(index: np.ndarray, size: int, key: tuple[int, ...]) -> np.ndarray:
    """Where a random permutation of 0 … size − 1, chosen by `key`, sends each `index`.

    A Feistel network over the next power of four, walked until it lands below `size` (Black & Rogaway 2002,
    "Ciphers with arbitrary finite domains"): a hundred million windows are shuffled in no memory at all, and the
    k-th of them is found without the ones before it.

    Example:
        >>> sorted(permuted(np.arange(6), 6, key=(1, 0)).tolist())
        [0, 1, 2, 3, 4, 5]
    """
    half = max(1, (max(size - 1, 1).bit_length() + 1) // 2)
    keys = np.random.SeedSequence(key).generate_state(_ROUNDS, np.uint64)
    result = _scrambled(index.astype(np.uint64), half, keys)
    while (outside := result >= size).any():
        result[outside] = _scrambled(result[outside], half, keys)
    return result.astype(np.int64)


def _scrambled(value: np.ndarray, half: int, keys: np.ndarray) -> np.ndarray:
    bits, mask = np.uint64(half), np.uint64((1 << half) - 1)
    left, right = value >> bits, value & mask
    for key in keys:
        left, right = right, left ^ (_mixed(right ^ key) & mask)
    return (left << bits) | right


def _mixed(value: np.ndarray) -> np.ndarray:
    """The finaliser of SplitMix64 (Steele, Lea & Flood 2014)."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))
