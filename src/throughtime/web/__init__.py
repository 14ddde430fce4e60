"""The page: records in, HTML out, and a server for this machine alone; nothing is computed here."""

from .page import render as render
from .server import serving as serving
