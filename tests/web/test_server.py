"""The server: for this machine alone, and only for those who ask for it by its own name."""

from __future__ import annotations

import http.client
import socket
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest

from throughtime import ConfigurationError
from throughtime.web import serving


def asked(address: str, path: str = "/", method: str = "GET", **headers: str) -> tuple[int, bytes, dict[str, str]]:
    where = urlsplit(address)
    connection = http.client.HTTPConnection(where.hostname or "", where.port)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    return answer.status, answer.read(), dict(answer.getheaders())


def test_the_page_is_served_on_the_loopback_address_alone() -> None:
    with serving("<p>δ 한") as address:
        assert address.startswith("http://127.0.0.1:")
        assert urlopen(address).read().decode() == "<p>δ 한"
        port = urlsplit(address).port or 0
        others = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
        for other in others - {"127.0.0.1"}:
            if str(other).startswith("127."):
                continue
            with pytest.raises(OSError, match=r".*"):
                socket.create_connection((str(other), port), timeout=1)


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", ""])
def test_another_name_is_refused(host: str) -> None:
    with serving("secret") as address:
        status, body, _ = asked(address, Host=host)
    assert status == 403
    assert b"secret" not in body


def test_localhost_is_a_name_of_this_machine() -> None:
    with serving("here") as address:
        assert asked(address, Host=f"localhost:{urlsplit(address).port}")[0] == 200


@pytest.mark.parametrize("path", ["/etc/passwd", "/../../etc/passwd", "//x", "/index.htm"])
def test_there_is_one_page_and_no_other(path: str) -> None:
    with serving("here") as address:
        assert asked(address, path)[0] == 404


def test_the_head_alone_and_what_is_said_to_the_browser() -> None:
    with serving("here") as address:
        status, body, headers = asked(address, method="HEAD")
        assert asked(address, method="POST")[0] == 501
    assert (status, body) == (200, b"")
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"


def test_a_port_that_is_taken() -> None:
    with serving("first") as address:
        port = urlsplit(address).port or 0
        with pytest.raises(ConfigurationError, match=rf"port {port}: .*in use; leave --port out"), serving("x", port):
            pass


def test_afterwards_it_is_gone() -> None:
    with serving("here") as address:
        pass
    with pytest.raises(OSError, match=r".*"):
        urlopen(address, timeout=1)
