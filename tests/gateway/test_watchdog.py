import socket
from pathlib import Path

from gateway.watchdog import Watchdog


def test_the_service_manager_hears_what_is_said(tmp_path: Path) -> None:
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        watchdog = Watchdog({"NOTIFY_SOCKET": str(path)})
        watchdog.say("READY=1")
        assert manager.recv(100) == b"READY=1"
        watchdog.close()


def test_a_name_in_the_abstract_space_works_too() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0shouwang-test")
        watchdog = Watchdog({"NOTIFY_SOCKET": "@shouwang-test"})
        watchdog.say("WATCHDOG=1")
        assert manager.recv(100) == b"WATCHDOG=1"
        watchdog.close()


def test_without_a_manager_or_with_one_that_is_gone_nothing_happens(tmp_path: Path) -> None:
    for environment in ({}, {"NOTIFY_SOCKET": str(tmp_path / "gone")}):
        watchdog = Watchdog(environment)
        watchdog.say("READY=1")
        watchdog.close()
