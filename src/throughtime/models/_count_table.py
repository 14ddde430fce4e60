"""The counts of the n-grams of one length, and one step of interpolation with the shorter ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .._errors import ArtifactError

_END = torch.iinfo(torch.int64).max


class CountTable(nn.Module):
    """One level of an interpolated model: P(w | h) = (c(hw) − D(c)) / c(h•) + γ(h) · P(w | h without its first symbol).

    γ(h) is what the discounts D have taken from the counts of `h`. A context that was never seen leaves the lower level
    as it is.

    Saved are the codes of the n-grams in order (the context's code times the vocabulary, plus the symbol), their
    counts, and the discounts of a count of 1, of 2, of 3 or more. The contexts, where each one's n-grams begin, the
    first term of the sum (`kept`) and γ (`passed`) are computed from them.
    """

    ngrams: Tensor
    counts: Tensor
    discounts: Tensor
    contexts: Tensor
    starts: Tensor
    kept: Tensor
    passed: Tensor

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        self.register_buffer("ngrams", torch.zeros(0, dtype=torch.int64))
        self.register_buffer("counts", torch.zeros(0, dtype=torch.int64))
        self.register_buffer("discounts", torch.zeros(3, dtype=torch.float64))
        for name in ("contexts", "starts", "kept", "passed"):
            self.register_buffer(name, torch.zeros(0), persistent=False)
        self._derive()

    def fill(self, ngrams: np.ndarray, counts: np.ndarray, discounts: tuple[float, float, float]) -> None:
        """Take the counts of these n-grams, sorted by code, in place of what there was."""
        self.ngrams = torch.as_tensor(ngrams, device=self.ngrams.device)
        self.counts = torch.as_tensor(counts, device=self.counts.device)
        self.discounts = self.discounts.new_tensor(discounts)
        self._derive()

    def interpolate_all(self, lower: Tensor, contexts: Tensor) -> None:
        """Turn the lower level's P of every symbol, [n, vocabulary], in place into that after `contexts` [n].

        Contexts are codes, and −1 where there is none.
        """
        rows = self._rows(contexts)
        lower.mul_(self.passed[rows][:, None])
        lengths = self.starts[rows + 1] - self.starts[rows]
        owners = torch.arange(len(rows), device=rows.device).repeat_interleave(lengths)
        entries = torch.arange(len(owners), device=rows.device)
        entries += (self.starts[rows] - lengths.cumsum(0) + lengths)[owners]
        places = owners * self.vocabulary + self.ngrams[entries] % self.vocabulary
        lower.view(-1).scatter_add_(0, places, self.kept[entries])

    def interpolate(self, lower: Tensor, contexts: Tensor, symbols: Tensor) -> None:
        """The same for one symbol each: `lower`, `contexts` and `symbols` are [n]."""
        lower.mul_(self.passed[self._rows(contexts)])
        if not len(self.ngrams):
            return
        ngrams = contexts * self.vocabulary + symbols
        places = torch.searchsorted(self.ngrams, ngrams).clamp(max=len(self.ngrams) - 1)
        lower.add_(torch.where(self.ngrams[places] == ngrams, self.kept[places], 0))

    def _rows(self, contexts: Tensor) -> Tensor:
        """Where in the table each context stands; one that was never seen has the last, empty row."""
        rows = torch.searchsorted(self.contexts, contexts)
        return torch.where(self.contexts[rows] == contexts, rows, len(self.contexts) - 1)

    def _derive(self) -> None:
        contexts, owners, sizes = torch.unique_consecutive(
            self.ngrams // self.vocabulary, return_inverse=True, return_counts=True
        )
        kinds = self.counts.clamp(max=3) - 1
        totals = torch.zeros_like(contexts).scatter_add_(0, owners, self.counts)
        of_kind = torch.bincount(owners * 3 + kinds, minlength=3 * len(contexts)).view(-1, 3)
        self.contexts = torch.cat([contexts, contexts.new_full((1,), _END)])
        self.starts = nn.functional.pad(sizes, (1, 1)).cumsum(0)
        self.kept = (self.counts - self.discounts[kinds]) / totals[owners]
        self.passed = torch.cat([of_kind.to(self.discounts) @ self.discounts / totals, self.discounts.new_ones(1)])

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any) -> None:
        ngrams, counts = state_dict.get(prefix + "ngrams"), state_dict.get(prefix + "counts")
        if ngrams is not None and counts is not None:
            if ngrams.dim() != 1 or ngrams.shape != counts.shape:
                given = f"{list(ngrams.shape)} and counts {list(counts.shape)}"
                raise ArtifactError(f"{prefix}ngrams are {given}, expected a count for each: the file is damaged")
            self.ngrams, self.counts = self.ngrams.new_empty(ngrams.shape), self.counts.new_empty(counts.shape)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
        self._derive()
