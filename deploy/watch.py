"""Watching what one audience gets: the one door to aiomqtt, and only for looking, since nothing hangs on an answer.

aiomqtt acknowledges what it has queued in memory and hides refused publishes, so nothing that must not be lost goes
through it. Every message is opened as a receiver should: signature, topic, audience.

    NobodyThere     .who: the site has no such audience
    NoBroker        .why
"""

import json
import sys

import aiomqtt

from broker.messages import AlarmUpdate, AlarmView, plain
from broker.signing import EnvelopeError, Verifier
from deploy.assembly import BrokerAddress
from deploy.box import observers
from deploy.check import Language
from deploy.keys import Keys
from deploy.site import Site


class NobodyThere(LookupError):
    """There is no such audience. Field: `who`."""

    def __init__(self, who: str, known: tuple[str, ...]) -> None:
        self.who = who
        super().__init__(f"there is no {who!r} with an account, only {', '.join(known)}")


class NoBroker(ConnectionError):
    """The broker cannot be reached, or refuses us."""


async def watch(site: Site, keys: Keys, who: str, broker: BrokerAddress, *, as_json: bool, language: Language) -> None:
    """Print every message that `who` gets, until cancelled. Raises NobodyThere, NoBroker, KeysError."""
    principals = observers(site)
    if who not in principals:
        raise NobodyThere(who, tuple(principals))
    user = principals[who].user
    verifier = Verifier(site.station.id, keys.public)
    tls = None if broker.ca is None else aiomqtt.TLSParameters(ca_certs=str(broker.ca))
    try:
        async with aiomqtt.Client(
            broker.host,
            broker.port,
            username=user,
            password=keys.password(user),
            identifier=user,
            protocol=aiomqtt.ProtocolVersion.V5,
            tls_params=tls,
        ) as client:
            await client.subscribe("sw1/#", qos=1)
            async for message in client.messages:
                sys.stdout.write(_line(verifier, message, as_json=as_json, language=language) + "\n")
                sys.stdout.flush()
    except aiomqtt.MqttError as error:
        raise NoBroker(f"{broker.host}:{broker.port}: {error}") from error


def _line(verifier: Verifier, message: aiomqtt.Message, *, as_json: bool, language: Language) -> str:
    topic = str(message.topic)
    payload = bytes(message.payload)
    try:
        body = verifier.open(topic, payload, retained=message.retain)
    except EnvelopeError as error:
        return json.dumps({"refused": error.code, "topic": topic}) if as_json else f"! {error}"
    if as_json:
        return json.dumps(plain(body), ensure_ascii=False)
    match body:
        case AlarmView() | AlarmUpdate():
            word = body.word_zh if language == "zh" else body.word_en
            about = getattr(body, "label", None) or getattr(body, "alarm", "")
            return f"{topic}  {word}  {about}"
        case _:
            return f"{topic}  {body.type}"
