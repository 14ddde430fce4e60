"""`throughtime generate`: text, sound or music that the model writes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from .._errors import ConfigurationError
from .._files import replacing
from ..artifacts import MusicRun, SymbolRun, load
from ..data import mu_law_encode, read_midi, write_sound
from ..models import Decoding
from . import _options as options
from ._console import print_json, progress, say, working


def generate(
    run: options.RunFolder,
    prompt: Annotated[
        str | None, typer.Option(help="Text to go on from, a line break by default; or a MIDI file.")
    ] = None,
    length: Annotated[
        int | None, typer.Option(min=1, help="Characters, bytes or samples to generate, 500; or frames of music, 128.")
    ] = None,
    temperature: Annotated[float, typer.Option(help="Below 1 safer, above 1 wilder; 0 takes the likeliest.")] = 1.0,
    top_k: Annotated[int | None, typer.Option(help="Draw from the k likeliest symbols only.")] = None,
    top_p: Annotated[float | None, typer.Option(help="Draw from the fewest symbols that reach p.")] = None,
    out_file: Annotated[
        Path | None, typer.Option("--out", help="Write to this file: .txt, .wav for sound, .mid or .png for music.")
    ] = None,
    seed: options.Seed = 0,
    device: options.Device = "cpu",
    json: options.Json = False,
) -> None:
    """Let a model of text, sound or music go on. Music keeps the keys of a prompt, not its tempo or loudness.

    Examples:

      throughtime generate runs/shakespeare --prompt "ROMEO:" --length 800 --temperature 0.8

      throughtime generate runs/digits --length 8000 --out digits.wav

      throughtime generate runs/chorales --prompt begun.mid --length 64 --temperature 0.9
    """
    decoding = Decoding(temperature, top_k, top_p)
    trained = load(run, device=options.device(device))
    if isinstance(trained, MusicRun):
        _play(trained, prompt, length or 128, decoding, seed, out_file, json)
        return
    if not isinstance(trained, SymbolRun):
        raise options.of_another_kind(trained)
    symbols = _prompt(trained, prompt)
    with progress("generating") as told:
        drawn = trained.generate(length or 500, symbols, decoding=decoding, seed=seed, progress=told)
    if trained.vocabulary is None:
        path = run / "generated.wav" if out_file is None else out_file
        assert trained.sample_rate is not None
        write_sound(path, drawn, trained.sample_rate)
        print_json({"file": str(path)}) if json else say(f"saved {path}")
        return
    text = trained.vocabulary.decode(drawn)
    if out_file is not None:
        with replacing(out_file) as temporary:
            temporary.write_text((prompt or "") + text, encoding="utf-8")
    if json:
        print_json({"prompt": prompt or "", "text": text, "seed": seed})
    else:
        say((prompt or "") + text)


def _prompt(trained: SymbolRun, prompt: str | None) -> np.ndarray | None:
    if trained.vocabulary is None:
        if prompt is not None:
            raise ConfigurationError("--prompt is for text; a model of sound starts from silence")
        return mu_law_encode(np.zeros(1))
    if prompt is None:
        return trained.vocabulary.encode("\n") if "\n" in trained.vocabulary.symbols else None
    return trained.vocabulary.encode(prompt)


def _play(
    trained: MusicRun, prompt: str | None, length: int, decoding: Decoding, seed: int, path: Path | None, json: bool
) -> None:
    """Write the music that follows a prompt, and the prompt before it, as MIDI and as a picture."""
    folder = trained.folder
    paths = [folder / "generated.mid", folder / "generated.png"] if path is None else [path]
    if paths[0].suffix.lower() not in (".mid", ".midi", ".png"):
        raise ConfigurationError(f"--out {path}: expected a name that ends in .mid, .midi or .png")
    with working("generating"):
        frames = trained.frames_per_beat
        given = None if prompt is None else read_midi(prompt, frames_per_beat=frames)
        made = trained.generate(length, given, decoding=decoding, seed=seed)
    for one in paths:
        made.write(one)
    if json:
        print_json({"files": [str(one) for one in paths], "given": made.given, "frames": length, "seed": seed})
        return
    say(f"{length} frames, {length / frames:g} beats, {made.drawn.sum(1).mean():.2f} notes a frame")
    for one in paths:
        say(f"saved {one}")
