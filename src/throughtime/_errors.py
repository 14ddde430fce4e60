"""The one family of errors. Each also derives from the built-in that fits, so that `except ValueError` works."""


class ThroughtimeError(Exception):
    """Base of every error raised on purpose.

    A message repeats what was given, says what was expected, and names the likely fix, in one line.
    """


class ShapeError(ThroughtimeError, ValueError):
    """A tensor whose shape contradicts something else that was given."""


class DataError(ThroughtimeError, ValueError):
    """A file or frame that cannot be read as the sequences it was taken for."""


class ConfigurationError(ThroughtimeError, ValueError):
    """A setting out of range, unknown, or in contradiction to another."""


class UnsupportedError(ThroughtimeError, NotImplementedError):
    """A combination that has no meaning or no implementation; the message names the alternative."""


class ArtifactError(ThroughtimeError, OSError):
    """A run folder or a checkpoint that is missing, damaged, or of another version."""
