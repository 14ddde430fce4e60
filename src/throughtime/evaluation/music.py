"""How well a model of music foretells the keys of the next frame, beside keys that know nothing of each other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from .._errors import DataError
from ..artifacts import MusicRun
from ..data import Excerpt, MusicData, smoothed
from .likelihood import Likelihood, in_bits


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
        DataError: if the run has no test part, or the data other frames than it.

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
    """
    tested = run.excerpts(data) if whole else run.parts(data)[2]
    if not tested:
        raise DataError(
            f"the split, {run.task.split.words(run.split_unit)}, has no test part: "
            "name a FILE that the model was not trained on"
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
        model=in_bits(float(np.concatenate(nats).mean())),
        parts=tuple(float(values.mean()) for values in nats),
        sizes=tuple(map(len, nats)),
        baselines={name: in_bits(_alone(own, tested)) for name, own in baselines.items()},
        part=Path(data.called).name if whole else "test part",
    )


def _alone(counts: np.ndarray, tested: list[Excerpt]) -> float:
    """Nats a frame under the frequencies of each key, [before, now, key]."""
    nats = -np.log(smoothed(counts))
    values = []
    for one in tested:
        frames = one.opened[one.begin :].astype(int)
        values.append(nats[frames[:-1], frames[1:], np.arange(frames.shape[1])].sum(1))
    return float(np.concatenate(values).mean())
