"""The link that can be hurt, with real sockets at both ends."""

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from faults.proxy import Proxy, State

PATIENCE_S = 60.0
SOON_S = 0.3
"""So long nothing comes when nothing may come."""


@pytest.fixture
def echo() -> Iterator[int]:
    """A server that says back what it hears, in capitals."""

    def serve(connection: socket.socket) -> None:
        with connection:
            while data := _received(connection):
                connection.sendall(data.upper())

    def accept() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        threading.Thread(target=accept, daemon=True).start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)


def _received(connection: socket.socket) -> bytes:
    try:
        return connection.recv(4096)
    except ConnectionError:
        return b""


@contextmanager
def connected(proxy: Proxy) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=PATIENCE_S) as connection:
        yield connection


def hears_nothing(connection: socket.socket) -> bool:
    connection.settimeout(SOON_S)
    try:
        connection.recv(1)
    except TimeoutError:
        return True
    return False


def is_reset(proxy: Proxy) -> bool:
    """Whether whoever comes now is reset, in the middle of coming or right behind it."""
    try:
        with connected(proxy) as connection:
            connection.recv(1)
    except ConnectionResetError:
        return True
    return False


def test_a_link_that_is_well_is_not_there(echo: int) -> None:
    with Proxy(lambda: echo) as proxy, connected(proxy) as connection:
        connection.sendall(b"press")
        assert connection.recv(16) == b"PRESS"
        assert proxy.connections == 1


def test_a_link_that_is_cut_resets_what_there_is_and_whoever_comes(echo: int) -> None:
    with Proxy(lambda: echo) as proxy, connected(proxy) as connection:
        connection.sendall(b"a")
        assert connection.recv(16) == b"A"
        proxy.be(State(cut=True))
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
        assert is_reset(proxy)
        proxy.be(State())
        with connected(proxy) as again:
            again.sendall(b"b")
            assert again.recv(16) == b"B"


@pytest.mark.parametrize("deaf", [State(to_server=False), State(to_client=False)])
def test_a_half_open_link_says_nothing_and_is_reset_when_it_hears_again(echo: int, deaf: State) -> None:
    with Proxy(lambda: echo) as proxy, connected(proxy) as connection:
        connection.sendall(b"a")
        assert connection.recv(16) == b"A"
        proxy.be(deaf)
        connection.sendall(b"press")
        assert hears_nothing(connection)
        proxy.be(State())
        connection.settimeout(PATIENCE_S)
        with pytest.raises(ConnectionResetError):
            connection.recv(1)


def test_a_slow_link_carries_everything_later(echo: int) -> None:
    with Proxy(lambda: echo) as proxy, connected(proxy) as connection:
        proxy.be(State(delay_s=SOON_S * 2))
        connection.sendall(b"press")
        assert hears_nothing(connection)
        connection.settimeout(PATIENCE_S)
        assert connection.recv(16) == b"PRESS"


def test_where_nobody_listens_behind_it_everybody_is_reset() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as gone:
        port = gone.getsockname()[1]
    with Proxy(lambda: port) as proxy:
        assert is_reset(proxy)
