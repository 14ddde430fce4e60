"""Figures that others have published, beside this library's on the same data by the same protocol.

Every model of every protocol in `_published` is trained from several seeds, each in a process of its own, and kept as
one JSON: what is there is not trained again, so the whole may be stopped at any time and goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from _common import DATA, RESULTS, busy, machine, processor
from _page import ROOT, write_section
from _published.protocol import Protocol
from _published.runner import FOLDER, Training, carried_out, protocols
from _published.tables import picture, sections

import throughtime
from throughtime._files import replacing
from throughtime.cli._console import progress

PAGE = ROOT / "docs" / "published.md"
_QUICK = 30.0  # seconds of each training with --quick
_PICTURE = """![Every figure of this page relative to the best published one](pictures/published.png)

A tick is a published figure, a dot a model of this library, its best one larger; an arrow lies beyond the picture."""

Found = dict[str, tuple[Path, Protocol]]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = _parser()
    settings = parser.parse_args(arguments)
    found = protocols(settings.protocols)
    chosen = _chosen(parser, found, settings.only)
    try:
        if settings.quick:
            with tempfile.TemporaryDirectory() as folder:
                carry_out(_trainings(chosen, 1), Path(folder), settings.threads, _QUICK)
        elif not settings.page_only:
            carry_out(_trainings(chosen, settings.seeds), settings.out, settings.threads, again=settings.again)
    except KeyboardInterrupt:
        print("\nstopped: what is done is kept, and the same command goes on from there", file=sys.stderr)
        sys.exit(130)
    if settings.page or not settings.quick:
        write_page({name: protocol for name, (_, protocol) in found.items()}, settings.out, settings.page or PAGE)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", help="names of protocols, with commas between; all by default")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--again", action="store_true", help="train what has been trained too")
    parser.add_argument("--quick", action="store_true", help="half a minute of each training: to see that it works")
    parser.add_argument("--page-only", action="store_true", help="train nothing: write the page from what is there")
    parser.add_argument("--out", type=Path, default=RESULTS / "published", help="a folder for the trainings as JSON")
    parser.add_argument("--page", type=Path, help="the page to write into; docs/published.md, or none with --quick")
    parser.add_argument("--protocols", type=Path, default=FOLDER, help="a folder of protocols")
    return parser


def _chosen(parser: argparse.ArgumentParser, found: Found, only: str | None) -> Found:
    names = list(found) if only is None else [name.strip() for name in only.split(",")]
    unknown = [name for name in names if name not in found]
    if unknown:
        parser.error(f"--only {only}: there is no protocol {unknown[0]!r}; expected some of {', '.join(found)}")
    return {name: found[name] for name in names}


def _trainings(chosen: Found, seeds: int) -> list[Training]:
    """Seed by seed, so that a first figure of everything is there early; without those whose data is missing."""
    here = {}
    for name, (file, protocol) in chosen.items():
        missing = [needed for needed in protocol.data if not (DATA / needed).exists()]
        if missing:
            print(
                f"left out: {name}, as {DATA / missing[0]} is not here; THROUGHTIME_DATA names the folder that has it"
            )
        else:
            here[name] = (file, protocol)
    return [
        Training(file, protocol, model, seed)
        for seed in range(seeds)
        for file, protocol in here.values()
        for model in protocol.models
    ]


def carry_out(
    trainings: list[Training], folder: Path, threads: int, limit: float | None = None, again: bool = False
) -> None:
    """Each that is not in the folder yet, or failed before; a failure is kept in words, and the next one begun."""
    files = {training: folder / f"{training.name}.json" for training in trainings}
    waiting = [training for training in trainings if again or "metrics" not in kept(files[training])]
    print(f"{machine()}\n{len(trainings)} trainings, {len(trainings) - len(waiting)} of them done before", flush=True)
    folder.mkdir(parents=True, exist_ok=True)
    with progress("trainings") as tell:
        for index, training in enumerate(waiting):
            surroundings = {
                "processor": processor(),
                "threads": threads,
                "busy": busy(),
                "versions": {"throughtime": throughtime.__version__, "torch": torch.__version__},
            }
            done = carried_out(training, threads, limit)
            print(f"{training}: {told(done)}", flush=True)
            stated = {"protocol": training.protocol.name, "model": training.model, "seed": training.seed}
            with replacing(files[training]) as temporary:
                content = json.dumps({**stated, **done, **surroundings}, indent=1, ensure_ascii=False)
                temporary.write_text(content + "\n", encoding="utf-8")
            tell((index + 1) / len(waiting))


def kept(file: Path) -> dict[str, Any]:
    """What is known of a training; nothing where its file is missing or broken."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return {}


def told(done: dict[str, Any]) -> str:
    """A training in a line."""
    if "failure" in done:
        return f"FAILED: {done['failure']}"
    if "unfinished" in done:
        return f"still at work after {done['unfinished']:.0f} s"
    figures = ", ".join(f"{name} {value:.5g}" for name, value in done["metrics"].items())
    return f"{figures}; {done['seconds']:.0f} s, {done['peak_kib'] / 1024:.0f} MiB"


def write_page(all_of_them: dict[str, Protocol], folder: Path, page: Path) -> None:
    """The tables and the picture, from the folder's results alone."""
    records: dict[str, list[dict[str, Any]]] = {name: [] for name in all_of_them}
    for file in sorted(folder.glob("*.json")):
        record = kept(file)
        if record.get("protocol") in records:
            records[record["protocol"]].append(record)
    drawn = picture(all_of_them, records, page.parent / "pictures" / "published.png")
    parts = ([_PICTURE] if drawn else []) + [sections(all_of_them, records)]
    write_section("protocols", "\n\n".join(parts), page)


if __name__ == "__main__":
    main()
