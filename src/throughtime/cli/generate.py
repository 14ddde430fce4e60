"""`throughtime generate`: text or sound that the model writes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from .._errors import ConfigurationError
from .._files import replacing
from ..artifacts import SymbolRun, load
from ..data import mu_law_encode, write_sound
from ..models import Decoding
from . import _options as options
from ._console import print_json, progress, say


def generate(
    run: options.RunFolder,
    prompt: Annotated[str | None, typer.Option(help="Text to go on from; a line break by default.")] = None,
    length: Annotated[int, typer.Option(min=1, help="Symbols to generate: characters, bytes or samples.")] = 500,
    temperature: Annotated[float, typer.Option(help="Below 1 safer, above 1 wilder; 0 takes the likeliest.")] = 1.0,
    top_k: Annotated[int | None, typer.Option(help="Draw from the k likeliest symbols only.")] = None,
    top_p: Annotated[float | None, typer.Option(help="Draw from the fewest symbols that reach p.")] = None,
    out_file: Annotated[Path | None, typer.Option("--out", help="Write to this file: .txt, or .wav for sound.")] = None,
    seed: options.Seed = 0,
    device: options.Device = "cpu",
    json: options.Json = False,
) -> None:
    """Let a model of text or sound go on.

    Examples:

      throughtime generate runs/shakespeare --prompt "ROMEO:" --length 800 --temperature 0.8

      throughtime generate runs/digits --length 8000 --out digits.wav
    """
    decoding = Decoding(temperature, top_k, top_p)
    trained = load(run, device=options.device(device))
    if not isinstance(trained, SymbolRun):
        raise options.of_another_kind(trained)
    symbols = _prompt(trained, prompt)
    with progress("generating") as told:
        drawn = trained.generate(length, symbols, decoding=decoding, seed=seed, progress=told)
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
