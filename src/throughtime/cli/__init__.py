"""The command line; it computes nothing."""

from .main import main as main
from .main import run as run
