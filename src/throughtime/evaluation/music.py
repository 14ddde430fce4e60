"""How well a model of music foretells the keys of the next frame, beside keys that know nothing of each other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from .._errors import DataError
from ..artifacts import MusicRun
from ..data import Excerpt, MusicData
from .likelihood import Likelihood, figures


def music_likelihood(
    run: MusicRun,
    data: MusicData,
    *,
    whole: bool = False,
    progress: Callable[[float], None] = lambda share: None,
) -> Likelihood:
    """Score the test part of `data`, by the run's own split, or all of it; −log p of a frame is summed over its keys.

    The baselines take each key by itself: as often down as in training, or that by whether it was down in the frame
    before.

    Args:
        run: the trained model.
        data: read by it.
        whole: whether `data` is another than the run was trained on, and all of it is for testing.
        progress: is told the share that is done.

    Raises:
        DataError: if the run has no test part.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from throughtime import prepare
        >>> waltz = np.zeros((24, 88), bool)
        >>> waltz[::3, 27] = waltz[1::3, 39] = waltz[2::3, 43] = True
        >>> data = MusicData((waltz,) * 5, tuple("abcde"))
        >>> fast = {"family": {"hidden_size": 16}, "training": {"epochs": 4}, "optimizer": {"learning_rate": 0.02}}
        >>> training = prepare(data, Path(tempfile.mkdtemp()) / "run", **fast)
        >>> _ = training.fit()
        >>> found = music_likelihood(training.run, data)
        >>> found.symbols, found.model["nats"] < found.baselines["key frequencies"]["nats"]
        (24, True)

    References:
        Krichevsky and Trofimov, "The performance of universal encoding", IEEE Transactions on Information Theory 1981
        (the half that is added to each count).
    """
    tested = [Excerpt(*one) for one in zip(data.names, data.pieces, strict=True)] if whole else run.parts(data)[2]
    if not tested:
        raise DataError(
            f"the split, {run.task.split.to_dict()}, has no test part: name a FILE that the model was not trained on"
        )
    nats = []
    for index, one in enumerate(tested):
        nats.append(run.score(one.roll)[one.begin :])
        progress((index + 1) / len(tested))
    counts = run.transitions
    baselines = {"key frequencies": np.broadcast_to(counts.sum(0), counts.shape), "each key's last frame": counts}
    return Likelihood(
        unit="frame",
        symbols=sum(map(len, nats)),
        model=figures(float(np.concatenate(nats).mean())),
        parts=tuple(float(values.mean()) for values in nats),
        sizes=tuple(map(len, nats)),
        baselines={name: figures(_alone(own, tested)) for name, own in baselines.items()},
        part=Path(data.source.path).name if whole and data.source else "test part",
    )


def _alone(counts: np.ndarray, tested: list[Excerpt]) -> float:
    """Nats a frame under the frequencies of each key, [before, now, key]."""
    nats = -np.log((counts + 0.5) / (counts.sum(1, keepdims=True) + 1))
    values = []
    for one in tested:
        frames = one.opened[one.begin :].astype(int)
        values.append(nats[frames[:-1], frames[1:], np.arange(frames.shape[1])].sum(1))
    return float(np.concatenate(values).mean())
