"""A client gets an answer's head and body at once."""

import socket
from urllib.parse import urlsplit

from local.process import Engine

REQUEST = b"GET /_ministack/health HTTP/1.1\r\nHost: localhost\r\n\r\n"


def test_the_head_of_an_answer_never_comes_alone(engine: Engine) -> None:
    address = urlsplit(engine.url)
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        for _ in range(200):  # Of answers in two writes, nearly each is read in two parts.
            connection.sendall(REQUEST)
            head, _, body = connection.recv(1 << 16).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 OK\r\n")
            assert body.endswith(b"}")
