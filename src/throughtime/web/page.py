"""The page: one HTML file that holds its style, its modules and its document, and asks nothing of anybody."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from pathlib import Path
from string import Template
from typing import Any

from .._errors import DataError

_PAGE = Path(__file__).with_name("page")
_ENTRY = 'import "main";'
_UNSAFE = "<>&\u2028\u2029"


def render(document: dict[str, Any]) -> str:
    """The explorer of a trace, as one self-contained HTML file.

    Style and ES modules stand in it as they were written (an import map names each module by a `data:` address), and
    so does the document, escaped: whatever a sequence says, it is shown and never run. A Content-Security-Policy
    forbids everything that is not in the file. It works from a file as it does from a server.

    Args:
        document: the trace, with numbers that are not finite as "NaN", "Infinity" and "-Infinity".

    Raises:
        DataError: for a number that is not finite and not spelled out so.

    Example:
        >>> page = render({"version": 1, "title": "</script>", "layers": []})
        >>> page.count("</script>") == page.count("<script"), "https://" in page
        (True, False)
    """
    imports = _json({"imports": {path.stem: _address(path) for path in sorted(_PAGE.glob("*.js"))}}, "<")
    style = re.sub(r"(?<=[:;,{}]) | (?={)", "", _text(_PAGE / "style.css"))
    policy = (
        f"default-src 'none'; script-src data: {_digest(imports)} {_digest(_ENTRY)}; style-src {_digest(style)}; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    frame = Template((_PAGE / "index.html").read_text(encoding="utf-8"))
    page = frame.substitute(
        title=html.escape(str(document.get("title", "throughtime"))),
        policy=policy,
        style=style,
        imports=imports,
        document=_json(document),
        entry=_ENTRY,
    )
    return page.encode("utf-8", "replace").decode()  # of a path that is no text, what is text


def _json(value: Any, unsafe: str = _UNSAFE) -> str:
    """JSON that may stand inside a script element."""
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    except ValueError as error:
        raise DataError(
            f'the document cannot be written as JSON ({error}); spell such numbers "NaN", "Infinity" or "-Infinity"'
        ) from None
    return text.translate({ord(character): f"\\u{ord(character):04x}" for character in unsafe})


def _text(path: Path) -> str:
    """What a file says, without indentation, empty lines and lines of comment; open brackets and lists on one line."""
    said = re.sub(r"^(?:\s+|//.*\n)+", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return re.sub(r"(?<=[,({\[])\n", "", said)


def _address(path: Path) -> str:
    """A module as a `data:` address: only what would end or change the address is encoded."""
    encoded = _text(path).replace("%", "%25").replace("#", "%23").replace("\n", "%0A")
    return f"data:text/javascript,{encoded}"


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
