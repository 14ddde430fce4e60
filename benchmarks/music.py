"""Bach's chorales written as MIDI files and learnt by `throughtime train` with every setting at its default."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
from _common import data_file, machine, options, write_json
from _page import ROOT, table, write_section
from _published.jsb import FILE, rolls

import throughtime as tt
from throughtime.artifacts import MusicRun
from throughtime.data import read_music, write_midi
from throughtime.evaluation import music_likelihood

GIVEN, DRAWN = 32, 32
"""Frames of a chorale of the test part, and those that go on from it, in the picture."""


def main() -> None:
    settings = options(__doc__).parse_args()
    torch.set_num_threads(settings.threads)
    data_file(FILE)
    print(machine())
    with tempfile.TemporaryDirectory() as place:
        chorales = Path(place) / "chorales"
        chorales.mkdir()
        for part in ("train", "valid", "test"):
            for index, roll in enumerate(rolls(part)):
                write_midi(chorales / f"{part}-{index:03}.mid", roll)
        data = read_music(chorales)
        training = tt.prepare(data, Path(place) / "run", training={"epochs": 1} if settings.quick else None)
        training.fit()
        run = training.run
        assert isinstance(run, MusicRun)
        found = music_likelihood(run, data)
        played = run.generate(DRAWN, run.parts(data)[2][0].roll[:GIVEN])
    figures = {"model": found.model, **found.baselines}
    rows = [[name, f"{own['nats']:.3f}", f"{own['bits']:.3f}"] for name, own in figures.items()]
    content = table(["", "nats a frame", "bits a frame"], rows)
    words = f"{found.symbols:,} frames of the test part; trained in {training.position.elapsed:.0f} s, seed 0."
    print(f"{content}\n{words}")
    write_json(settings.out, "music", figures)
    if settings.quick and settings.page is None:
        return
    page = settings.page or ROOT / "docs" / "music.md"
    played.write(page.parent / "pictures" / "music.png")
    write_section("chorales", f"{content}\n\n{words}", page)


if __name__ == "__main__":
    main()
