"""`shouwang watch`: what one audience gets, opened as a receiver must open it."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from queue import Empty, SimpleQueue
from threading import Thread
from typing import IO, Any

import pytest

from broker.messages import alarm_view
from broker.policy import views
from broker.signing import Signer, gateway_kid
from broker.topics import Role
from deploy import accounts
from deploy.box import Box
from deploy.check import load
from deploy.stage import example
from tests.broker.village import ALARM, GATEWAY, MEMBERSHIP, OTHER_SIGNER, PANIC
from tests.deploy.mailbox import Mailbox

VIEW = next(view for view in views(PANIC, MEMBERSHIP) if view.addressee == "household:h03")
BODY = alarm_view(VIEW, alarm=ALARM, age_ms=0)
PATIENCE = 400
POLL_S = 0.05

Watcher = Callable[..., SimpleQueue[str]]


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    path = example("village.toml")
    with Box(load(path), path, tmp_path_factory.mktemp("box")) as running:
        running.broker.start()
        yield running


@pytest.fixture
def gateway(box: Box) -> Iterator[Mailbox]:
    """Speaks to the broker as the gateway may."""
    principal = next(one for one in accounts.principals(box.site) if one.role is Role.GATEWAY)
    with Mailbox(box.broker.port, principal.user, box.keys.password(principal.user)) as mailbox:
        yield mailbox


def hear(printed: IO[str], lines: SimpleQueue[str]) -> None:
    for line in printed:
        lines.put(line)


@pytest.fixture
def watch(box: Box) -> Iterator[Watcher]:
    """Starts `shouwang watch` and returns the lines that it prints."""
    processes: list[subprocess.Popen[str]] = []
    readings: list[Thread] = []

    def start(*options: str) -> SimpleQueue[str]:
        process = subprocess.Popen(
            [
                sys.executable, "-m", "deploy.cli", "watch", "--site", str(box.site_path), "--keys",
                str(box.directory / "keys"), "--broker-port", str(box.broker.port), *options,
            ],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        processes.append(process)
        assert process.stdout is not None
        lines: SimpleQueue[str] = SimpleQueue()
        reading = Thread(target=hear, args=(process.stdout, lines))
        reading.start()
        readings.append(reading)
        return lines

    yield start
    for process in processes:
        process.terminate()
        process.wait(60)
    for reading in readings:
        reading.join()
    for process in processes:
        assert process.stdout is not None
        process.stdout.close()


def next_line(lines: SimpleQueue[str], send: Callable[[], object]) -> str:
    """The next line; `send` is called until one comes, since nobody tells us when the watcher has subscribed."""
    for _ in range(PATIENCE):
        send()
        try:
            return lines.get(timeout=POLL_S)
        except Empty:
            continue
    raise AssertionError("nothing was printed")


def first(lines: SimpleQueue[str], send: Callable[[], object], wanted: Callable[[dict[str, Any]], bool]) -> Any:
    for _ in range(PATIENCE):
        message = json.loads(next_line(lines, send))
        if wanted(message):
            return message
    raise AssertionError("what was wanted was not printed")


@pytest.mark.proves("A1", "N4")
def test_a_household_sees_its_alarm_and_a_forged_one_is_refused(box: Box, gateway: Mailbox, watch: Watcher) -> None:
    lines = watch("--as", "household:h03", "--json")
    genuine = Signer(gateway_kid(GATEWAY), box.keys.seed(gateway_kid(GATEWAY))).envelope(BODY)
    forged = Signer(gateway_kid(GATEWAY), bytes(range(40, 72))).envelope(BODY)
    stranger = OTHER_SIGNER.envelope(BODY)

    seen = first(lines, lambda: gateway.publish(VIEW.topic, genuine), lambda message: "refused" not in message)
    assert (seen["kind"], seen["door"], seen["audience"]) == ("panic", 1, "household:h03")
    refused = first(lines, lambda: gateway.publish(VIEW.topic, forged), lambda message: "refused" in message)
    assert refused == {"refused": "bad_signature", "topic": VIEW.topic}
    unknown = first(
        lines, lambda: gateway.publish(VIEW.topic, stranger), lambda message: message.get("refused") == "unknown_key"
    )
    assert unknown["topic"] == VIEW.topic


@pytest.mark.parametrize(("language", "word"), [("zh", "紧急报警"), ("en", "panic")])
def test_people_read_topic_word_and_label(box: Box, gateway: Mailbox, watch: Watcher, language: str, word: str) -> None:
    lines = watch("--as", "household:h03", "--lang", language)
    genuine = Signer(gateway_kid(GATEWAY), box.keys.seed(gateway_kid(GATEWAY))).envelope(BODY)
    line = next_line(lines, lambda: gateway.publish(VIEW.topic, genuine))
    assert line == f"{VIEW.topic}  {word}  王家小卖部\n"


def test_a_forged_message_is_marked_for_people(gateway: Mailbox, watch: Watcher) -> None:
    lines = watch("--as", "household:h03")
    line = next_line(lines, lambda: gateway.publish(VIEW.topic, b"not even JSON"))
    assert line.startswith("! ")
    assert "\n" not in line[:-1]
