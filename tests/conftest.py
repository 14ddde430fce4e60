"""What every test runs under: shapes checked, one thread, no screen, the same random examples each time."""

import sys
from pathlib import Path

from jaxtyping import install_import_hook

if "throughtime" in sys.modules:
    raise RuntimeError("throughtime was imported before tests/conftest.py: its shapes would go unchecked")
# The command line is left out: it has no shapes, and its parser checks (and annotates) arguments in its own way.
SOURCE = Path(__file__).parents[1] / "src" / "throughtime"
CHECKED = sorted(f"throughtime.{path.stem}" for path in SOURCE.iterdir() if path.stem not in ("__init__", "cli"))
install_import_hook(CHECKED, "beartype.beartype")

import matplotlib  # noqa: E402
import torch  # noqa: E402
from hypothesis import settings  # noqa: E402

matplotlib.use("Agg")
torch.set_num_threads(1)
settings.register_profile("ci", derandomize=True, deadline=None, database=None)
settings.load_profile("ci")
