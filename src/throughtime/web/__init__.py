"""The page: records in, HTML out, and a server for this machine alone; nothing is computed here."""

from .server import serving as serving
