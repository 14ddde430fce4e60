"""The page on this machine's own address, for this machine alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import cast

from .._errors import ConfigurationError

HOST = "127.0.0.1"


@contextmanager
def serving(page: str, port: int = 0) -> Iterator[str]:
    """Inside, `page` is served at the address that is handed out.

    It is bound to 127.0.0.1, and answers only those who asked for it by that name: a site that points a name of its own
    at this machine is refused.

    Args:
        port: 0 for any that is free.

    Raises:
        ConfigurationError: where the port is taken or not allowed.

    Example:
        >>> from urllib.request import urlopen
        >>> with serving("<p>ready") as address:
        ...     urlopen(address).read()
        b'<p>ready'
    """
    try:
        server = ThreadingHTTPServer((HOST, port), _handler(page.encode()))
    except (OSError, OverflowError) as error:
        reason = error.strerror.lower() if isinstance(error, OSError) and error.strerror else str(error)
        raise ConfigurationError(f"port {port}: {reason}; leave --port out for one that is free") from None
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://{HOST}:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(page: bytes) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        server_version, sys_version = "throughtime", ""

        def do_GET(self) -> None:
            self._answer(page)

        def do_HEAD(self) -> None:
            self._answer(page, body=False)

        def _answer(self, content: bytes, *, body: bool = True) -> None:
            port = cast(ThreadingHTTPServer, self.server).server_port
            names = {f"{name}:{port}" for name in (HOST, "localhost")} | ({HOST, "localhost"} if port == 80 else set())
            if self.headers.get_all("Host", [""])[0] not in names or len(self.headers.get_all("Host", [])) > 1:
                self.send_error(403, "this page is for 127.0.0.1 alone")
                return
            if self.path.partition("?")[0] not in ("/", "/index.html"):
                self.send_error(404)
                return
            self.send_response(200)
            for name, value in (
                ("Content-Type", "text/html; charset=utf-8"),
                ("Content-Length", str(len(content))),
                ("Cache-Control", "no-store"),
                ("X-Content-Type-Options", "nosniff"),
                ("X-Frame-Options", "DENY"),
                ("Referrer-Policy", "no-referrer"),
            ):
                self.send_header(name, value)
            self.end_headers()
            if body:
                self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            """Nobody reads it."""

    return Handler
