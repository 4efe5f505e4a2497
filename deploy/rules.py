"""What must hold across a whole site file: one function a rule, in the order of `RULES`.

A rule looks at what could be made of the file, tells what breaks it, and never stops at the first. Two things keep
it from telling what is only the echo of another mistake:

- whether something exists is asked of the document itself, where it has its id though the rest of it is wrong, and
  a default that stands in for a refused value (`Entry.refused`) breaks no rule;
- what follows from something *not* being there is told only when everything has its shape and every id leads
  somewhere (`Draft.whole`).
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from ipaddress import ip_address
from itertools import chain
from typing import Final
from urllib.parse import urlsplit

from broker.ids import GatewayId, GroupId, HouseholdId
from broker.kinds import Kind, Words
from broker.tags import Enrolled, Tag
from deploy.positions import Path
from deploy.problems import Finding, finding, place, shorten
from deploy.site import Contact, Draft, Entry, Gateway, Household, Line, Reader, Remote, Sounder, Unit, ZigbeeButton

MOST_HOUSEHOLDS: Final = 30
BAUDS: Final = (1200, 2400, 4800, 9600, 19_200, 38_400, 57_600, 115_200, 230_400, 460_800, 921_600)
READER_BAUDS: Final = {"rdm6300": 9600, "radio433": 9600, "wiegand": 9600, "pn532": 115_200}
TAG_LINES: Final = ("rdm6300", "wiegand", "pn532")

RESERVED_PINS: Final = frozenset({0, 1})
"""ID_SD and ID_SC of the 40-pin header: the firmware reads an extension board's EEPROM there."""
UART_PINS: Final = frozenset({14, 15})
UART_PORTS: Final = re.compile(r"/dev/(serial[01]|ttyAMA0|ttyS0)")

UNSTABLE_PORT: Final = re.compile(r"/dev/tty(USB|ACM)\d+")
PHONE: Final = re.compile(r"(?<!\d)(1[3-9]\d[- ]?\d{4}[- ]?\d{4}|0\d{2,3}[- ]?\d{7,8})(?!\d)")
"""Mobile and fixed-line numbers as they are written in China."""
HOST: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")

NO_CALLS: Final = frozenset({Kind.TAMPER, Kind.TEST, Kind.DRILL})
"""What nobody calls for help with."""

AREAS: Final = ("community", "grid", "group")
"""Tables whose ids, with the station's, name areas: rights are given over an area by its id."""

DEVICES: Final = ("unit", "reader", "contact", "sounder", "remote", "zigbee_button")
"""Tables of a gateway whose ids are units' ids: a unit's id is the only one of its kind in a site."""

WORDS: Final[Mapping[str, Words]] = {
    "community": Words("社区", "community"),
    "grid": Words("网格", "grid"),
    "group": Words("联防组", "group"),
    "household": Words("住户", "household"),
    "gateway": Words("网关", "gateway"),
    "line": Words("线路", "line"),
}


def breaches(draft: Draft) -> Iterator[Finding]:
    """Everything that is wrong with the whole, whatever is wrong with its parts."""
    astray = tuple(_references_lead_somewhere(draft))
    yield from astray
    draft = replace(draft, whole=draft.whole and not astray)
    yield from chain.from_iterable(rule(draft) for rule in RULES)


# names


def _ids_are_unique(draft: Draft) -> Iterator[Finding]:
    for table in ("officer", "household", "gateway"):
        yield from _twice(draft, "duplicate_id", "id", _raw(draft.document, table))
    station = draft.document.get("station")
    areas = [(("station",), station)] if isinstance(station, Mapping) else []
    yield from _twice(
        draft,
        "duplicate_id",
        "id",
        chain(areas, *(_raw(draft.document, table) for table in AREAS)),
    )
    devices = (_raw(draft.document, "gateway", table) for table in DEVICES)
    yield from _twice(draft, "duplicate_id", "id", chain.from_iterable(devices))


def _names_are_unique(draft: Draft) -> Iterator[Finding]:
    for path, gateway in _raw(draft.document, "gateway"):
        for table in ("line", "zigbee_button"):
            yield from _twice(draft, "same_name", "name", _raw(gateway, table, at=path))
    yield from _twice(draft, "same_tag", "tag", _raw(draft.document, "tag"))


def _references_lead_somewhere(draft: Draft) -> Iterator[Finding]:
    known = {what: _ids(draft.document, what) for what in ("community", "grid", "group", "household", "gateway")}
    for entry, what, attribute, value in _references(draft):
        if value not in known[what]:
            yield _stranger(what, value, known[what], (*entry.at, attribute))
    for gateway in draft.site.gateways:
        lines = frozenset(str(line["name"]) for _, line in _raw(_at(draft, gateway), "line") if _has(line, "name"))
        on_lines: tuple[Unit | Reader, ...] = (*gateway.units, *gateway.readers)
        for device in on_lines:
            if device.line is not None and device.line not in lines:
                yield _stranger("line", device.line, lines, (*device.at, "line"))


def _references(draft: Draft) -> Iterator[tuple[Entry, str, str, str]]:
    """Every id that names an entry of another table: who names it, which table, under which key, the id."""
    site = draft.site
    for grid in site.grids:
        yield grid, "community", "community", grid.community
    for group in site.groups:
        yield from _given(group, "grid", "community", "gateway")
    for household in site.households:
        yield from _given(household, "group")
        yield from ((household, "household", "excludes", other) for other in sorted(household.excludes))
    for gateway in site.gateways:
        for device in gateway.pressed:
            yield from _given(device, "household")
        for sounder in gateway.sounders:
            yield from _given(sounder, "household", "group")


def _given(entry: Entry, *attributes: str) -> Iterator[tuple[Entry, str, str, str]]:
    for attribute in attributes:
        if (value := getattr(entry, attribute)) is not None:
            yield entry, attribute, attribute, value


def _stranger(what: str, value: str, known: Iterable[str], path: Path) -> Finding:
    words = WORDS[what]
    near = ", ".join(get_close_matches(value, sorted(known)))
    if near:
        return finding("misspelt_reference", path, what_zh=words.zh, what_en=words.en, value=value, near=near)
    return finding("unknown_reference", path, what_zh=words.zh, what_en=words.en, value=value)


# areas and groups


def _areas_agree(draft: Draft) -> Iterator[Finding]:
    grids = {grid.id: grid.community for grid in draft.site.grids}
    for group in draft.site.groups:
        right = group.grid and grids.get(group.grid)
        if group.community is not None and right is not None and group.community != right:
            path = (*group.at, "community")
            yield finding("two_communities", path, grid=group.grid, right=right, value=group.community)
        if group.community is None and group.grid is None and draft.whole:
            yield finding("group_without_area", group.at)


def _groups_have_households(draft: Draft) -> Iterator[Finding]:
    sizes = Counter(household.group for household in draft.site.households)
    for group in draft.site.groups:
        count = sizes[group.id]
        if count > MOST_HOUSEHOLDS:
            yield finding("group_too_large", group.at, limit=MOST_HOUSEHOLDS, count=count)
        if count == 0 and draft.whole:
            yield finding("group_empty", group.at)


def _groups_have_a_home(draft: Draft) -> Iterator[Finding]:
    """A group on several gateways rings only as far as the broker is up, so somebody must have said that it may."""
    site = draft.site
    households = {household.id: household for household in site.households}
    gateways = _ids(draft.document, "gateway")
    for group in site.groups:
        if group.gateway is None and len(gateways) > 1 and "gateway" not in group.refused:
            yield finding("group_home_unclear", group.at, count=len(gateways))
    away: set[HouseholdId] = set()
    for gateway in site.gateways:
        for device in (*gateway.pressed, *gateway.sounders):
            household = households.get(device.household) if device.household else None
            home = household and _home(draft, household.group)
            if household is None or home in {None, gateway.id} or home not in gateways:
                continue
            away.add(household.id)
            if not household.remote and "remote" not in household.refused:
                yield finding(
                    "not_on_home_gateway",
                    device.at,
                    unit=device.id,
                    gateway=gateway.id,
                    group=household.group,
                    home=home,
                    household=household.id,
                )
    for household in site.households:
        home = _home(draft, household.group)
        if household.remote and household.id not in away and home is not None and draft.whole:
            yield finding("remote_at_home", (*household.at, "remote"), home=home)


def _groups_can_be_heard(draft: Draft) -> Iterator[Finding]:
    if not draft.whole or not draft.site.gateways:
        return
    hearing = _hearing(draft)
    heard = {household.group for household in draft.site.households if household.id in hearing}
    inhabited = {household.group for household in draft.site.households}
    for group in draft.site.groups:
        if group.id in inhabited - heard:
            yield finding("group_without_siren", group.at)


# households


def _households_can_call_and_hear(draft: Draft) -> Iterator[Finding]:
    if not draft.whole or not draft.site.gateways:
        return
    calling, hearing = _calling(draft), _hearing(draft)
    for household in draft.site.households:
        calls, hears = household.id in calling, household.id in hearing
        if household.group is None:
            yield finding("household_without_group", household.at)
        if household.door is None:
            yield finding("household_without_door", household.at)
        if not calls and not hears:
            yield finding("household_without_unit", household.at)
        elif not calls:
            yield finding("household_without_key", household.at)
        elif not hears:
            yield finding("household_without_siren", household.at)


def _doors_differ(draft: Draft) -> Iterator[Finding]:
    seen: dict[tuple[str, int], Household] = {}
    for household in draft.site.households:
        if household.group is None or household.door is None:
            continue
        first = seen.setdefault((household.group, household.door), household)
        if first is not household:
            yield finding(
                "same_door", (*household.at, "door"), group=household.group, value=household.door, other=first.id
            )


def _labels_hold_no_phone_number(draft: Draft) -> Iterator[Finding]:
    for household in draft.site.households:
        if PHONE.search(household.label):
            yield finding("phone_number", (*household.at, "label"))


def _only_neighbours_are_excluded(draft: Draft) -> Iterator[Finding]:
    """A misspelt id here tells the one person who shall not know: so whoever is named must be a neighbour."""
    households = {household.id: household for household in draft.site.households}
    for household in draft.site.households:
        path = (*household.at, "excludes")
        for other in (households.get(id_) for id_ in sorted(household.excludes)):
            if other is None or household.group is None or "group" in other.refused:
                continue
            if other is household:
                yield finding("excludes_itself", path)
            elif other.group != household.group:
                yield finding("excludes_stranger", path, value=other.id)


def _shared_sirens_exclude_nobody(draft: Draft) -> Iterator[Finding]:
    excluding = {household.group for household in draft.site.households if household.excludes}
    for gateway in draft.site.gateways:
        for sounder in gateway.sounders:
            if sounder.household is None:
                heard = {sounder.group} if sounder.group is not None else _groups_of(draft, gateway)
                for group in sorted(group for group in heard & excluding if group is not None):
                    yield finding("shared_siren", sounder.at, group=group)


def _duress_was_opted_in(draft: Draft) -> Iterator[Finding]:
    households = {household.id: household for household in draft.site.households}
    silent: set[HouseholdId] = set()
    for gateway in draft.site.gateways:
        for device in gateway.pressed:
            key = _duress_key(device)
            if key is None:
                continue
            if device.household is None:
                yield finding("duress_without_household", device.at)
                continue
            silent.add(device.household)
            household = households.get(device.household)
            if household is not None and not household.duress and "duress" not in household.refused:
                yield finding("duress_not_opted_in", (*device.at, key), household=household.id)
    able = silent.union(*({unit.household for unit in gateway.units} for gateway in draft.site.gateways))
    for household in draft.site.households:
        if household.duress and household.id not in able and draft.whole and draft.site.gateways:
            yield finding("duress_without_key", (*household.at, "duress"))


def _duress_key(device: Entry) -> str | None:
    """The key of the file that makes a device silent. A native unit may have a silent key beside loud ones."""
    match device:
        case Unit(silent=True):
            return "silent"
        case Contact(kind=Kind.DURESS) | Remote(kind=Kind.DURESS):
            return "kind"
        case ZigbeeButton(actions=actions) if Kind.DURESS in actions.values():
            return "actions"
    return None


# wires


def _addresses_differ(draft: Draft) -> Iterator[Finding]:
    for gateway in draft.site.gateways:
        seen: dict[tuple[str, int], Unit] = {}
        for unit in gateway.units:
            first = seen.setdefault((unit.line, unit.address), unit)
            if first is not unit:
                path = (*unit.at, "address")
                yield finding("same_address", path, name=unit.line, value=unit.address, other=first.id)


def _ports_are_usable(draft: Draft) -> Iterator[Finding]:
    for gateway in draft.site.gateways:
        seen: dict[str, Line] = {}
        for line in gateway.lines:
            path, port = (*line.at, "port"), line.port
            first = seen.setdefault(port, line)
            if first is not line:
                yield finding("same_port", path, value=shorten(port), other=first.name)
            if not port.isprintable() or port.endswith("/"):
                yield finding("bad_port", path, value=shorten(port))
            elif not port.startswith("/") and ".." in port.split("/"):
                yield finding("port_leaves_state", path)
            elif UNSTABLE_PORT.fullmatch(port):
                yield finding("unstable_port", path, value=port)


def _bauds_exist(draft: Draft) -> Iterator[Finding]:
    for gateway in draft.site.gateways:
        for line in gateway.lines:
            path = (*line.at, "baud")
            if line.baud not in BAUDS:
                yield finding("bad_baud", path, choices=", ".join(map(str, BAUDS)), value=line.baud)
            elif line.baud != (wanted := READER_BAUDS.get(line.kind, line.baud)):
                yield finding("reader_baud", path, kind=line.kind, wanted=wanted, value=line.baud)


def _lines_carry_what_they_can(draft: Draft) -> Iterator[Finding]:
    for gateway in draft.site.gateways:
        lines = {line.name: line for line in gateway.lines}
        for unit in gateway.units:
            yield from _wrong_kind(unit, lines.get(unit.line), "native")
        read: dict[str, str] = {}
        for reader in gateway.readers:
            yield from _reader_is_wired(reader, lines)
            if reader.line is None:
                continue
            yield from _wrong_kind(reader, lines.get(reader.line), *READER_BAUDS)
            if read.setdefault(reader.line, reader.id) != reader.id:
                yield finding("second_reader", (*reader.at, "line"), name=reader.line, other=read[reader.line])
        used = {unit.line for unit in gateway.units}
        for line in gateway.lines:
            if line.form is not None and line.kind != "radio433" and "kind" not in line.refused:
                yield finding("form_not_wanted", (*line.at, "form"))
            if line.kind in TAG_LINES and line.name not in read and draft.whole:
                yield finding("line_without_reader", line.at, kind=line.kind)
            if line.kind == "native" and line.name not in used and draft.whole:
                yield finding("line_without_unit", line.at)


def _reader_is_wired(reader: Reader, lines: Mapping[str, Line]) -> Iterator[Finding]:
    on_pins = reader.d0 is not None and reader.d1 is not None
    one_pin = (reader.d0 is None) != (reader.d1 is None)
    if (one_pin or on_pins == (reader.line is not None)) and not reader.refused & {"line", "d0", "d1"}:
        yield finding("reader_nowhere", reader.at)
        return
    line = None if reader.line is None else lines.get(reader.line)
    if line is not None and line.kind != "wiegand" and "kind" not in line.refused:
        for key, given in (("form", reader.form is not None), ("reversed", reader.reversed)):
            if given:
                yield finding("reader_not_wiegand", (*reader.at, key), key=key)
    hears_tags = on_pins if line is None else line.kind in TAG_LINES
    if hears_tags and reader.buzzer is None and reader.lamp is None and not reader.refused & {"buzzer", "lamp"}:
        yield finding("reader_mute", reader.at)


def _tags_can_be_told_apart(draft: Draft) -> Iterator[Finding]:
    known = {Tag(entry.tag): entry for entry in draft.site.tags if entry.tag.strip("0")}
    for alike in Enrolled(known).ambiguous24.values():
        for tag in alike[1:]:
            yield finding("ambiguous_tag", (*known[tag].at, "tag"), value=tag, other=alike[0])


def _wrong_kind(device: Entry, line: Line | None, *wanted: str) -> Iterator[Finding]:
    if line is not None and line.kind not in wanted and "kind" not in line.refused:
        path = (*device.at, "line")
        yield finding("wrong_line_kind", path, name=line.name, kind=line.kind, wanted=" / ".join(wanted))


# pins, radio, Zigbee


def _pins_are_free(draft: Draft) -> Iterator[Finding]:
    for gateway in draft.site.gateways:
        uart = next((line.name for line in gateway.lines if UART_PORTS.fullmatch(line.port)), None)
        seen: dict[int, str] = {}
        for owner, path, pin in _wired(gateway):
            if pin in RESERVED_PINS:
                yield finding("reserved_pin", path, value=pin)
            elif pin in UART_PINS and uart is not None:
                yield finding("uart_pin", path, value=pin, name=uart)
            elif pin in seen:
                yield finding("same_pin", path, value=pin, other=seen[pin])
            seen.setdefault(pin, owner)
        if gateway.gpio == "none" and _wired(gateway):
            yield finding("gpio_off", (*gateway.at, "gpio"))


def _contacts_and_sounders_make_sense(draft: Draft) -> Iterator[Finding]:
    for gateway in draft.site.gateways:
        for contact in gateway.contacts:
            if contact.role == "loop" and not contact.normally_closed and "normally_closed" not in contact.refused:
                yield finding("loop_at_rest", contact.at)
            if contact.role == "checkpoint" and contact.household is not None:
                yield finding("button_of_household", (*contact.at, "household"))
            if contact.role == "checkpoint" and not contact.pins and not contact.refused & {"buzzer", "lamp"}:
                yield finding("reader_mute", contact.at)
            if contact.role != "checkpoint" and contact.pins:
                yield finding("answer_of_key", contact.at)
        for sounder in gateway.sounders:
            if sounder.household is not None and sounder.group is not None:
                yield finding("sounder_for_two", sounder.at)


def _remotes_are_heard(draft: Draft) -> Iterator[Finding]:
    for gateway in draft.site.gateways:
        seen: dict[tuple[int, int], str] = {}
        for remote in gateway.remotes:
            first = seen.setdefault((remote.identity, remote.command), remote.id)
            if first != remote.id:
                yield finding("same_code", (*remote.at, "identity"), other=first)
        if gateway.remotes and draft.whole and not any(line.kind == "radio433" for line in gateway.lines):
            yield finding("no_receiver", gateway.remotes[0].at)


def _zigbee_is_reachable(draft: Draft) -> Iterator[Finding]:
    for gateway in draft.site.gateways:
        if gateway.zigbee_buttons and gateway.zigbee is None and "zigbee" not in gateway.refused:
            yield finding("no_zigbee", gateway.zigbee_buttons[0].at)
        if gateway.zigbee is not None:
            yield from _bad_host(gateway.zigbee, gateway.zigbee.host)
            yield from _bad_topic((*gateway.zigbee.at, "base"), gateway.zigbee.base)
        for button in gateway.zigbee_buttons:
            yield from _bad_topic((*button.at, "name"), button.name)


def _bad_topic(path: Path, text: str) -> Iterator[Finding]:
    if not text.isprintable() or {"+", "#"} & set(text) or "" in text.split("/"):
        yield finding("bad_topic", path, value=shorten(text))


# the whole


def _machines_have_names(draft: Draft) -> Iterator[Finding]:
    station, broker = draft.site.station, draft.site.broker
    yield from _bad_host(station, station.host)
    yield from _bad_host(broker, broker.host)
    if broker.private:
        for key in ("ca",) if broker.mutual else ("host", "ca"):
            if key in broker.model_fields_set:
                yield finding("private_elsewhere", (*broker.at, key), key=key)
        if broker.mutual and draft.site.tls is None and draft.whole:
            yield finding("mutual_without_tls", (*broker.at, "mutual"))
    elif not broker.mutual and broker.ca is None and not _is_here(broker.host) and "ca" not in broker.refused:
        code = "open_broker" if broker.plain else "plain_broker"
        yield finding(code, broker.at or ("broker",), value=shorten(broker.host))
    if broker.listen is not None and not (broker.private and broker.mutual):
        yield finding("listens_nowhere", (*broker.at, "listen"))


def _pages_go_by_https(draft: Draft) -> Iterator[Finding]:
    station, tls = draft.site.station, draft.site.tls
    if tls is None:
        return
    if tls.port == station.port:
        yield finding("https_port", (*tls.at, "port"), value=tls.port)
    if tls.hsts and (tls.public_port or tls.port) != 443:
        yield finding("hsts_ports", (*tls.at, "hsts"))


def _alarms_go_by_https(draft: Draft) -> Iterator[Finding]:
    road = draft.site.road
    if road is None:
        return
    path = (*road.at, "url")
    scheme, host = _page(road.url)
    if (
        scheme not in {"http", "https"}
        or {"@", "?", "#"} & set(road.url)
        or not (HOST.fullmatch(host) or _is_address(host))
    ):
        yield finding("bad_road", path, value=shorten(road.url))
    elif scheme == "http" and not _is_here(host):
        yield finding("open_road", path, value=shorten(road.url))
    elif scheme == "http" and road.ca is not None:
        yield finding("road_without_tls", (*road.at, "ca"))


def _people_are_told(draft: Draft) -> Iterator[Finding]:
    notify = draft.site.notify
    if notify.link is not None:
        path = (*notify.at, "link")
        scheme, host = _page(notify.link)
        if scheme not in {"http", "https"} or not (HOST.fullmatch(host) or _is_address(host)):
            yield finding("bad_link", path, value=shorten(notify.link))
        elif scheme == "http" and not _is_here(host):
            yield finding("open_link", path, value=shorten(notify.link))
    if notify.loopback:
        yield finding("loopback_channels", (*notify.at, "loopback"))


def _page(link: str) -> tuple[str, str]:
    """The scheme and the host of a page's address; nothing where it is none."""
    try:
        parts = urlsplit(link)
        usable = parts.port != 0 and link.isprintable() and not any(map(str.isspace, link))
        return (parts.scheme, parts.hostname or "") if usable else ("", "")
    except ValueError:
        return "", ""


def _bad_host(entry: Entry, host: str) -> Iterator[Finding]:
    if not HOST.fullmatch(host) and not _is_address(host):
        yield finding("bad_host", (*entry.at, "host"), value=shorten(host))


def _is_here(host: str) -> bool:
    return host == "localhost" or (_is_address(host) and ip_address(host).is_loopback)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _somebody_is_there(draft: Draft) -> Iterator[Finding]:
    if not draft.whole:
        return
    if not draft.site.gateways:
        yield finding("no_gateway", ())
    if not draft.site.officers:
        yield finding("no_officer", ())
    for gateway in draft.site.gateways:
        if not gateway.pressed and not gateway.readers:
            yield finding("gateway_idle", gateway.at)


RULES: Final[Sequence[Callable[[Draft], Iterator[Finding]]]] = (
    _ids_are_unique,
    _names_are_unique,
    _areas_agree,
    _groups_have_households,
    _groups_have_a_home,
    _groups_can_be_heard,
    _households_can_call_and_hear,
    _doors_differ,
    _labels_hold_no_phone_number,
    _only_neighbours_are_excluded,
    _shared_sirens_exclude_nobody,
    _duress_was_opted_in,
    _addresses_differ,
    _ports_are_usable,
    _bauds_exist,
    _lines_carry_what_they_can,
    _tags_can_be_told_apart,
    _pins_are_free,
    _contacts_and_sounders_make_sense,
    _remotes_are_heard,
    _zigbee_is_reachable,
    _machines_have_names,
    _pages_go_by_https,
    _alarms_go_by_https,
    _people_are_told,
    _somebody_is_there,
)


# asking


def _raw(value: object, *tables: str, at: Path = ()) -> Iterator[tuple[Path, Mapping[str, object]]]:
    """Every table of this kind below `value`, as the document has it, whatever is wrong with it."""
    if not isinstance(value, Mapping):
        return
    if not tables:
        yield at, value
        return
    children = value.get(tables[0])
    for index, child in enumerate(children if isinstance(children, list) else ()):
        yield from _raw(child, *tables[1:], at=(*at, tables[0], index))


def _at(draft: Draft, gateway: Gateway) -> Mapping[str, object]:
    """A gateway as the document has it."""
    raw = draft.document["gateway"]
    assert isinstance(raw, list)
    found = raw[int(gateway.at[-1])]
    assert isinstance(found, Mapping)
    return found


def _has(raw: Mapping[str, object], key: str) -> bool:
    return isinstance(raw.get(key), str)


def _ids(document: object, table: str) -> frozenset[str]:
    return frozenset(str(raw["id"]) for _, raw in _raw(document, table) if _has(raw, "id"))


def _twice(
    draft: Draft, code: str, key: str, entries: Iterable[tuple[Path, Mapping[str, object]]]
) -> Iterator[Finding]:
    """Whatever has the same `key` as an entry before it."""
    seen: dict[str, Path] = {}
    for path, raw in entries:
        if _has(raw, key):
            value = str(raw[key])
            first = seen.setdefault(value, path)
            if first != path:
                yield finding(code, (*path, key), value=shorten(value), other=place(first, draft.document))


def _wired(gateway: Gateway) -> list[tuple[str, Path, int]]:
    """Everything on a pin: whose it is, where the file says so, and which."""
    devices: tuple[Contact | Sounder, ...] = (*gateway.contacts, *gateway.sounders)
    wired: list[tuple[str, Path, int]] = [(device.id, (*device.at, "pin"), device.pin) for device in devices]
    answering: tuple[Contact | Reader, ...] = (*gateway.contacts, *gateway.readers)
    return wired + [(one.id, (*one.at, key), pin) for one in answering for key, pin in one.pins]


def _groups_of(draft: Draft, gateway: Gateway) -> set[str | None]:
    """The groups of those who have something on this gateway, and those whose home it is."""
    own = gateway.households
    there: set[str | None] = {household.group for household in draft.site.households if household.id in own}
    return there | {group.id for group in draft.site.groups if draft.site.home(group) == gateway.id}


def _calling(draft: Draft) -> frozenset[HouseholdId | None]:
    """The households that have something to call with."""
    pressed = chain.from_iterable(gateway.pressed for gateway in draft.site.gateways)
    return frozenset(device.household for device in pressed if _is_call(device))


def _is_call(device: Entry) -> bool:
    match device:
        case Contact(role=role, kind=kind):
            return role == "key" and kind not in NO_CALLS
        case Remote(kind=kind):
            return kind not in NO_CALLS
        case ZigbeeButton(actions=actions):
            return bool(set(actions.values()) - NO_CALLS)
    return True


def _hearing(draft: Draft) -> frozenset[HouseholdId]:
    """The households that have something that sounds: a unit, a sounder, their group's, or their home gateway's."""
    gateways = draft.site.gateways
    sounders = [(gateway.id, sounder) for gateway in gateways for sounder in gateway.sounders]
    own = {sounder.household for _, sounder in sounders} | {unit.household for one in gateways for unit in one.units}
    groups = {sounder.group for _, sounder in sounders if sounder.group is not None}
    boxes = {id_ for id_, sounder in sounders if sounder.household is None and sounder.group is None}
    return frozenset(
        household.id
        for household in draft.site.households
        if household.id in own or household.group in groups or _home(draft, household.group) in boxes
    )


def _home(draft: Draft, group: GroupId | None) -> GatewayId | None:
    """The home gateway of a group."""
    found = None if group is None else draft.site.group(group)
    return None if found is None else draft.site.home(found)
