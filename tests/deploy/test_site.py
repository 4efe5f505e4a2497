"""What is wrong with a site file is told at once, each thing with its place, and in words."""

import json
import tomllib
from copy import deepcopy
from io import StringIO
from math import inf
from pathlib import Path
from string import Formatter

import pytest
from annotated_types import Ge, Le
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic.fields import FieldInfo
from rich.console import Console

from deploy import check, site
from deploy.check import Checked, SiteRefused, SiteUnreadable, check_text
from deploy.problems import CATALOGUE, Severity
from gateway.settings import GatewaySettings
from tests.deploy import toml

EXAMPLES = Path(__file__).parents[2] / "examples"
VILLAGE = (EXAMPLES / "village.toml").read_text(encoding="utf-8")
DOCUMENT = tomllib.loads(VILLAGE)

SOUND = """\
[station]
id = "north"

[[officer]]
id = "desk"

[[community]]
id = "c1"

[[community]]
id = "c2"

[[grid]]
id = "w1"
community = "c1"

[[group]]
id = "ten1"
grid = "w1"

[[household]]
id = "h01"
group = "ten1"
door = 101

[[household]]
id = "h02"
group = "ten1"
door = 102
duress = true

[[gateway]]
id = "gw1"

[[gateway.line]]
name = "line1"
port = "/dev/serial/by-id/usb-rs485-if00-port0"

[[gateway.line]]
name = "gate"
port = "/dev/serial/by-id/usb-reader-if00-port0"
kind = "rdm6300"

[[gateway.reader]]
id = "r1"
line = "gate"
buzzer = 22

[[gateway.unit]]
id = "u01"
line = "line1"
address = 1
household = "h01"

[[gateway.unit]]
id = "u02"
line = "line1"
address = 2
household = "h02"

[[tag]]
tag = "0A00B1C2D3"
"""

STATION, OFFICER = '[station]\nid = "north"\n', '[[officer]]\nid = "desk"\n\n'
GROUP = '[[group]]\nid = "ten1"\ngrid = "w1"\n'
H01 = '[[household]]\nid = "h01"\ngroup = "ten1"\ndoor = 101\n'
H02 = '[[household]]\nid = "h02"\ngroup = "ten1"\ndoor = 102\nduress = true\n'
GATEWAY = '[[gateway]]\nid = "gw1"\n'
LINE1 = '[[gateway.line]]\nname = "line1"\nport = "/dev/serial/by-id/usb-rs485-if00-port0"\n'
U01 = '[[gateway.unit]]\nid = "u01"\nline = "line1"\naddress = 1\nhousehold = "h01"\n'
U02 = '[[gateway.unit]]\nid = "u02"\nline = "line1"\naddress = 2\nhousehold = "h02"\n'
READER_PORT = "/dev/serial/by-id/usb-reader-if00-port0"
READER = '[[gateway.reader]]\nid = "r1"\nline = "gate"\nbuzzer = 22\n'
TAG = '[[tag]]\ntag = "0A00B1C2D3"\n'
GW2 = '\n[[gateway]]\nid = "gw2"\n[[gateway.line]]\nname = "l"\nport = "/dev/serial0"\n'
KEY = '\n[[gateway.contact]]\nid = "k"\npin = 17\nhousehold = "h02"\n'
SIREN = '\n[[gateway.sounder]]\nid = "s"\npin = 27\n'
RADIO = '\n[[gateway.line]]\nname = "radio"\nport = "/dev/serial/by-id/usb-radio"\nkind = "radio433"\n'
REMOTE = '\n[[gateway.remote]]\nid = "f"\nidentity = 0xABCDE\ncommand = 1\nhousehold = "h01"\n'
ZIGBEE = '\n[gateway.zigbee]\n\n[[gateway.zigbee_button]]\nid = "z"\nname = "红色按钮"\nhousehold = "h01"\n'


Change = tuple[str, str]
"""A text of the sound file, and what stands there instead."""


def changed(*changes: Change) -> str:
    """The sound file with these changes; what stands instead of nothing goes to the end of gateway gw1."""
    text = SOUND
    for old, new in changes:
        if old:
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        else:
            text = text.replace("[[tag]]", f"{new}\n[[tag]]", 1)
    return text


def more(entry: str, line: str) -> Change:
    """One more line in an entry."""
    return entry, f"{entry}{line}\n"


def added(table: str) -> Change:
    """One more table at the end of gateway gw1."""
    return "", f"\n{table}\n"


def told(text: str) -> list[str]:
    return [f"{problem.code} @ {problem.place}".rstrip(" @") for problem in check_text(text).problems]


def _household(n: int) -> str:
    return f'[[household]]\nid = "x{n}"\ngroup = "ten1"\ndoor = {200 + n}\n'


def _unit(n: int) -> str:
    return f'[[gateway.unit]]\nid = "y{n}"\nline = "line1"\naddress = {10 + n}\nhousehold = "x{n}"\n'


HOME = more(GROUP, 'gateway = "gw1"')
GW1 = 'gateway[1] "gw1"'

WRONG: dict[str, tuple[list[Change], list[str]]] = {
    # the text
    "a word without quotes": ([('"north"', "north")], ["not_toml"]),
    "a password": ([more(STATION, 'password = "hunter2"')], ["secret @ station password"]),
    "a unit key": ([more(U01, f'key = "{"0f" * 16}"')], [f'secret @ {GW1} unit[1] "u01" key']),
    "a key under an innocent name": ([more(GATEWAY, f'place = "{"0f" * 16}"')], [f"secret @ {GW1} place"]),
    "a password in an address": (
        [more(H01, 'label = "mqtt://me:hunter2@here"')],
        ['secret @ household[1] "h01" label'],
    ),
    # the shape
    "an unknown key": ([more(H01, "rooms = 3")], ['unknown_key @ household[1] "h01" rooms']),
    "an unknown table": ([(TAG, "[weather]\n")], ["unknown_key @ weather"]),
    "a misspelt key": ([more(H01, "medical_concent = true")], ['misspelt_key @ household[1] "h01" medical_concent']),
    "a misspelt table": ([("[[gateway.reader]]", "[[gateway.raeder]]")], [f"misspelt_key @ {GW1} raeder"]),
    "no address": ([("address = 2\n", "")], [f'missing_key @ {GW1} unit[2] "u02"']),
    "no id": ([('[[officer]]\nid = "desk"\n', "[[officer]]\n")], ["missing_key @ officer[1]"]),
    "no station": ([(STATION, "")], ["missing_table"]),
    "a station that is no table": ([(STATION, 'station = "north"\n')], ["not_a_table @ station"]),
    "a tag that is one table": ([(TAG, "[tag]\n")], ["not_tables @ tag"]),
    "units that are no tables": (
        [(U01, ""), (U02, ""), more(GATEWAY, 'unit = ["u01"]')],
        [f"not_a_table @ {GW1} unit[1]"],
    ),
    "a number for text": ([more(GATEWAY, "place = 3")], [f"not_text @ {GW1} place"]),
    "text for a number": ([("address = 2", 'address = "2"')], [f'not_a_number @ {GW1} unit[2] "u02" address']),
    "text for yes or no": ([("duress = true", 'duress = "yes"')], ['not_a_bool @ household[2] "h02" duress']),
    "one for a list": ([more(H01, 'excludes = "h02"')], ['not_a_list @ household[1] "h01" excludes']),
    "address 0": ([("address = 2", "address = 0")], [f'too_small @ {GW1} unit[2] "u02" address']),
    "address 0xFFF0": ([("address = 2", "address = 0xFFF0")], [f'too_large @ {GW1} unit[2] "u02" address']),
    "a radio identity of 21 bits": (
        [added(REMOTE.replace("0xABCDE", "0x100000"))],
        [f'too_large @ {GW1} remote[1] "f" identity'],
    ),
    "night from 22 to 24": ([more(GATEWAY, "night = [22, 24]")], [f"too_large @ {GW1} night[2]"]),
    "night from 22": ([more(GATEWAY, "night = [22]")], [f"not_two @ {GW1} night"]),
    "night with three hours": ([more(GATEWAY, "night = [22, 6, 8]")], [f"not_two @ {GW1} night"]),
    "a kind of line": ([('"rdm6300"', '"rdm630"')], [f'not_one_of @ {GW1} line[2] "gate" kind']),
    "a kind of alarm": (
        [added(ZIGBEE + 'actions = { emergency = "Panic" }')],
        [f'not_one_of @ {GW1} zigbee_button[1] "z" actions emergency'],
    ),
    "capitals in an id": ([('"desk"', '"Desk"')], ['bad_id @ officer[1] "Desk" id']),
    "a tag of 9 digits": ([("0A00B1C2D3", "0A00B1C2D")], ['bad_tag @ tag[1] "0A00B1C2D" tag']),
    "a tag in small letters": ([("0A00B1C2D3", "0a00b1c2d3")], ['bad_tag @ tag[1] "0a00b1c2d3" tag']),
    "a label that turns the writing": (
        [more(H01, 'label = "\\u202E501"')],
        ['bad_text @ household[1] "h01" label'],
    ),
    "a label of 97 characters": ([more(H01, f'label = "{"长" * 97}"')], ['bad_text @ household[1] "h01" label']),
    "a host without a name": ([more(STATION, 'host = ""')], ["not_valid @ station host"]),
    # names
    "two officers of one id": ([(OFFICER, OFFICER * 2)], ['duplicate_id @ officer[2] "desk" id']),
    "a reader called like a unit": ([('id = "r1"', 'id = "u01"')], [f'duplicate_id @ {GW1} reader[1] "u01" id']),
    "a unit called like another gateway's": (
        [added(GW2 + 'kind = "rdm6300"\n' + READER.replace("r1", "u01").replace('"gate"', '"l"')), HOME],
        ['duplicate_id @ gateway[2] "gw2" reader[1] "u01" id'],
    ),
    "two lines of one name": (
        [added('[[gateway.line]]\nname = "gate"\nport = "/dev/ttyAMA1"\nkind = "radio433"')],
        [f'same_name @ {GW1} line[3] "gate" name'],
    ),
    "two Zigbee buttons of one name": (
        [added(ZIGBEE + '[[gateway.zigbee_button]]\nid = "y"\nname = "红色按钮"\nhousehold = "h02"')],
        [f'same_name @ {GW1} zigbee_button[2] "y" name'],
    ),
    "one tag twice": ([(TAG, TAG + TAG)], ['same_tag @ tag[2] "0A00B1C2D3" tag']),
    "a household that is not there": (
        [('household = "h02"', 'household = "h99x"')],
        [f'unknown_reference @ {GW1} unit[2] "u02" household'],
    ),
    "a household that is misspelt": (
        [('household = "h02"', 'household = "h03"')],
        [f'misspelt_reference @ {GW1} unit[2] "u02" household'],
    ),
    "a line that is not there": (
        [('line = "gate"', 'line = "north-east"')],
        [f'unknown_reference @ {GW1} reader[1] "r1" line'],
    ),
    "a grid, community and gateway that are not there": (
        [('grid = "w1"\n', 'grid = "xyz"\ncommunity = "xyz"\ngateway = "xyz"\n')],
        [
            'unknown_reference @ group[1] "ten1" grid',
            'unknown_reference @ group[1] "ten1" community',
            'unknown_reference @ group[1] "ten1" gateway',
        ],
    ),
    "a community that is not there": (
        [('community = "c1"', 'community = "xyz"')],
        ['unknown_reference @ grid[1] "w1" community'],
    ),
    "a group that is not there": (
        [(H01, H01.replace("ten1", "xyz"))],
        ['unknown_reference @ household[1] "h01" group'],
    ),
    "a siren for strangers": (
        [added(SIREN + 'household = "xyz"')],
        [f'unknown_reference @ {GW1} sounder[1] "s" household'],
    ),
    "an excluded household that is not there": (
        [more(H01, 'excludes = ["h02", "h2"]')],
        ['misspelt_reference @ household[1] "h01" excludes'],
    ),
    # areas and groups
    "a group in another community than its grid": (
        [more(GROUP, 'community = "c2"')],
        ['two_communities @ group[1] "ten1" community'],
    ),
    "a group without area": ([('grid = "w1"\n', "")], ['group_without_area @ group[1] "ten1"']),
    "a group without households": (
        [(GROUP, GROUP + '[[group]]\nid = "ten2"\ngrid = "w1"\n')],
        ['group_empty @ group[2] "ten2"'],
    ),
    "a group of 31": (
        [(H01, H01 + "".join(_household(n) for n in range(29))), added("".join(_unit(n) for n in range(29)))],
        ['group_too_large @ group[1] "ten1"'],
    ),
    "a group without anything that sounds": (
        [(U01, KEY.replace("h02", "h01")), (U02, KEY.replace('"k"', '"l"').replace("17", "18"))],
        [
            'group_without_siren @ group[1] "ten1"',
            'household_without_siren @ household[1] "h01"',
            'household_without_siren @ household[2] "h02"',
            'duress_without_key @ household[2] "h02" duress',
            f'line_without_unit @ {GW1} line[1] "line1"',
        ],
    ),
    "a group without home between two gateways": (
        [added(GW2)],
        [
            'group_home_unclear @ group[1] "ten1"',
            'gateway_idle @ gateway[2] "gw2"',
            'line_without_unit @ gateway[2] "gw2" line[1] "l"',
        ],
    ),
    "a unit on another gateway than its group's": (
        [HOME, (U02, ""), added(GW2 + U02.replace("line1", "l"))],
        ['not_on_home_gateway @ gateway[2] "gw2" unit[1] "u02"'],
    ),
    "a remote household at home": ([more(H01, "remote = true")], ['remote_at_home @ household[1] "h01" remote']),
    # households
    "a household without group": (
        [(H01, H01.replace('group = "ten1"\n', ""))],
        ['household_without_group @ household[1] "h01"'],
    ),
    "a household without anything": ([(U01, "")], ['household_without_unit @ household[1] "h01"']),
    "a household without key": ([(U01, SIREN + 'household = "h01"\n')], ['household_without_key @ household[1] "h01"']),
    "a household without siren": ([(U01, KEY.replace("h02", "h01"))], ['household_without_siren @ household[1] "h01"']),
    "a household without door": ([("door = 101\n", "")], ['household_without_door @ household[1] "h01"']),
    "two households behind one door": ([("door = 102", "door = 101")], ['same_door @ household[2] "h02" door']),
    "a mobile number in a label": (
        [more(H01, 'label = "501 138-0013-8000"')],
        ['phone_number @ household[1] "h01" label'],
    ),
    "a telephone number in a label": (
        [more(H01, 'label = "501 010-12345678"')],
        ['phone_number @ household[1] "h01" label'],
    ),
    "a household that excludes itself": (
        [more(H01, 'excludes = ["h01"]')],
        ['excludes_itself @ household[1] "h01" excludes'],
    ),
    "a household that excludes a stranger": (
        [more(H01, 'excludes = ["h03"]'), (H02, H02 + '[[household]]\nid = "h03"\ndoor = 3\n')],
        [
            'excludes_stranger @ household[1] "h01" excludes',
            'household_without_group @ household[3] "h03"',
            'household_without_unit @ household[3] "h03"',
        ],
    ),
    "a shared siren where somebody is excluded": (
        [more(H01, 'excludes = ["h02"]'), added(SIREN)],
        [f'shared_siren @ {GW1} sounder[1] "s"'],
    ),
    "a group's siren where somebody is excluded": (
        [more(H01, 'excludes = ["h02"]'), added(SIREN + 'group = "ten1"')],
        [f'shared_siren @ {GW1} sounder[1] "s"'],
    ),
    "a silent unit without opting in": (
        [more(U01, "silent = true")],
        [f'duress_not_opted_in @ {GW1} unit[1] "u01" silent'],
    ),
    "a silent contact without opting in": (
        [added(KEY.replace("h02", "h01") + 'kind = "duress"')],
        [f'duress_not_opted_in @ {GW1} contact[1] "k" kind'],
    ),
    "a silent remote without opting in": (
        [added(REMOTE + 'kind = "duress"')],
        [f'no_receiver @ {GW1} remote[1] "f"', f'duress_not_opted_in @ {GW1} remote[1] "f" kind'],
    ),
    "a silent Zigbee button without opting in": (
        [added(ZIGBEE + 'actions = { hold = "duress" }')],
        [f'duress_not_opted_in @ {GW1} zigbee_button[1] "z" actions'],
    ),
    "a silent contact of nobody": (
        [added(KEY.replace('household = "h02"', 'kind = "duress"'))],
        [f'duress_without_household @ {GW1} contact[1] "k"'],
    ),
    "opting in without a silent key": (
        [(U02, KEY + SIREN + 'household = "h02"')],
        ['duress_without_key @ household[2] "h02" duress'],
    ),
    # wires
    "one address twice on a line": ([("address = 2", "address = 1")], [f'same_address @ {GW1} unit[2] "u02" address']),
    "one port twice": ([("usb-reader", "usb-rs485")], [f'same_port @ {GW1} line[2] "gate" port']),
    "an unstable port": ([(READER_PORT, "/dev/ttyUSB0")], [f'unstable_port @ {GW1} line[2] "gate" port']),
    "a port outside the state directory": (
        [(READER_PORT, "ports/../../x")],
        [f'port_leaves_state @ {GW1} line[2] "gate" port'],
    ),
    "a port that is a folder": ([(READER_PORT, "/dev/")], [f'bad_port @ {GW1} line[2] "gate" port']),
    "a port with a line feed": ([(READER_PORT, "/dev/x\\n")], [f'bad_port @ {GW1} line[2] "gate" port']),
    "a baud that nobody speaks": ([more(LINE1, "baud = 9601")], [f'bad_baud @ {GW1} line[1] "line1" baud']),
    "a fast tag reader": (
        [('kind = "rdm6300"', 'kind = "rdm6300"\nbaud = 115200')],
        [f'reader_baud @ {GW1} line[2] "gate" baud'],
    ),
    "a unit on a reader's line": (
        [(U02, U02.replace("line1", "gate"))],
        [f'wrong_line_kind @ {GW1} unit[2] "u02" line'],
    ),
    "a reader on the units' line": (
        [('line = "gate"', 'line = "line1"')],
        [f'line_without_reader @ {GW1} line[2] "gate"', f'wrong_line_kind @ {GW1} reader[1] "r1" line'],
    ),
    "two readers on a line": (
        [(READER, READER + READER.replace("r1", "r2").replace("22", "23"))],
        [f'second_reader @ {GW1} reader[2] "r2" line'],
    ),
    "a reader's line without reader": ([(READER, "")], [f'line_without_reader @ {GW1} line[2] "gate"']),
    "a reader that hangs nowhere": (
        [('line = "gate"\nbuzzer', "buzzer")],
        [f'line_without_reader @ {GW1} line[2] "gate"', f'reader_nowhere @ {GW1} reader[1] "r1"'],
    ),
    "a reader on one pin only": (
        [added('[[gateway.reader]]\nid = "r2"\nd0 = 5')],
        [f'reader_nowhere @ {GW1} reader[2] "r2"'],
    ),
    "a reader on a line and on pins": (
        [(READER, READER + "d0 = 5\nd1 = 6\n")],
        [f'reader_nowhere @ {GW1} reader[1] "r1"'],
    ),
    "a Wiegand form for another reader": (
        [(READER, READER + 'form = "w26"\n')],
        [f'reader_not_wiegand @ {GW1} reader[1] "r1" form'],
    ),
    "an order of octets for another reader": (
        [(READER, READER + "reversed = true\n")],
        [f'reader_not_wiegand @ {GW1} reader[1] "r1" reversed'],
    ),
    "a reader without sound and lamp": ([("buzzer = 22\n", "")], [f'reader_mute @ {GW1} reader[1] "r1"']),
    "a reader on two pins without sound and lamp": (
        [added('[[gateway.reader]]\nid = "r2"\nd0 = 5\nd1 = 6')],
        [f'reader_mute @ {GW1} reader[2] "r2"'],
    ),
    "a slow NFC reader": ([('kind = "rdm6300"', 'kind = "pn532"')], [f'reader_baud @ {GW1} line[2] "gate" baud']),
    "a Wiegand reader on its converter": (
        [('kind = "rdm6300"', 'kind = "wiegand"'), (READER, READER + 'form = "w34"\nreversed = true\n')],
        [],
    ),
    "a Wiegand reader on two pins": (
        [added('[[gateway.reader]]\nid = "r2"\nd0 = 5\nd1 = 6\nlamp = 24\nform = "w26"\nreversed = true')],
        [],
    ),
    "a reader's pin that is somebody's": (
        [(READER, READER + "lamp = 22\n")],
        [f'same_pin @ {GW1} reader[1] "r1" lamp'],
    ),
    "two tags with the same end": (
        [(TAG, TAG + TAG.replace("0A00", "6200"))],
        ['ambiguous_tag @ tag[2] "6200B1C2D3" tag'],
    ),
    "tags of every length": (
        [
            (
                TAG,
                "".join(
                    f'[[tag]]\ntag = "{tag}"\n'
                    for tag in ("0A00B1", "04A1B2C3", "041219C321931B", "04112233445566778899")
                ),
            )
        ],
        [],
    ),
    "a line without units": (
        [added('[[gateway.line]]\nname = "line2"\nport = "/dev/serial0"')],
        [f'line_without_unit @ {GW1} line[3] "line2"'],
    ),
    "a form for a native line": ([more(LINE1, 'form = "text"')], [f'form_not_wanted @ {GW1} line[1] "line1" form']),
    # pins, radio, Zigbee
    "one pin twice": ([added(KEY + SIREN.replace("27", "17"))], [f'same_pin @ {GW1} sounder[1] "s" pin']),
    "a reserved pin": ([added(KEY.replace("17", "1"))], [f'reserved_pin @ {GW1} contact[1] "k" pin']),
    "a pin of the serial port": (
        [added(KEY.replace("17", "15")), (READER_PORT, "/dev/serial0")],
        [f'uart_pin @ {GW1} contact[1] "k" pin'],
    ),
    "pins on a gateway without pins": ([added(KEY), more(GATEWAY, 'gpio = "none"')], [f"gpio_off @ {GW1} gpio"]),
    "an open loop": ([added(KEY + 'role = "loop"')], [f'loop_at_rest @ {GW1} contact[1] "k"']),
    "a checkpoint's button of a household": (
        [added(KEY + 'role = "checkpoint"\nlamp = 24')],
        [f'button_of_household @ {GW1} contact[1] "k" household'],
    ),
    "a checkpoint's button without sound and lamp": (
        [added(KEY.replace('household = "h02"\n', 'role = "checkpoint"\n'))],
        [f'reader_mute @ {GW1} contact[1] "k"'],
    ),
    "a key with a lamp": ([added(KEY + "lamp = 24")], [f'answer_of_key @ {GW1} contact[1] "k"']),
    "a siren for a household and a group": (
        [added(SIREN + 'household = "h01"\ngroup = "ten1"')],
        [f'sounder_for_two @ {GW1} sounder[1] "s"'],
    ),
    "one radio code twice": (
        [added(REMOTE + REMOTE.replace('"f"', '"e"')), (READER, READER + RADIO)],
        [f'same_code @ {GW1} remote[2] "e" identity'],
    ),
    "a remote that nobody hears": ([added(REMOTE)], [f'no_receiver @ {GW1} remote[1] "f"']),
    "Zigbee buttons without Zigbee": (
        [added(ZIGBEE.replace("[gateway.zigbee]", ""))],
        [f'no_zigbee @ {GW1} zigbee_button[1] "z"'],
    ),
    "a Zigbee name with a wildcard": (
        [added(ZIGBEE.replace("红色按钮", "red/#"))],
        [f'bad_topic @ {GW1} zigbee_button[1] "z" name'],
    ),
    "a Zigbee base with a gap": (
        [added(ZIGBEE.replace("[gateway.zigbee]", '[gateway.zigbee]\nbase = "a//b"'))],
        [f"bad_topic @ {GW1} zigbee base"],
    ),
    "a Zigbee host that is no host": (
        [added(ZIGBEE.replace("[gateway.zigbee]", '[gateway.zigbee]\nhost = "a b"'))],
        [f"bad_host @ {GW1} zigbee host"],
    ),
    # the whole
    "no gateway": ([(SOUND[SOUND.index("[[gateway]]") : SOUND.index("[[tag]]")], "")], ["no_gateway"]),
    "a gateway with nothing on it": ([added('[[gateway]]\nid = "gw2"'), HOME], ['gateway_idle @ gateway[2] "gw2"']),
    "no officer": ([(OFFICER, "")], ["no_officer"]),
    "a station at an address with a path": ([more(STATION, 'host = "http://here/"')], ["bad_host @ station host"]),
    "a broker at two places": (
        [added('[broker]\nprivate = true\nhost = "10.0.0.1"\nca = "/etc/ca.pem"')],
        ["private_elsewhere @ broker host", "private_elsewhere @ broker ca"],
    ),
    "a broker far away without TLS": ([added('[broker]\nhost = "mqtt.example.org"')], ["plain_broker @ broker"]),
    "a broker far away that shall be plain": (
        [added('[broker]\nhost = "mqtt.example.org"\nplain = true')],
        ["open_broker @ broker"],
    ),
    "a broker of one's own that shows no certificate": (
        [added("[broker]\nprivate = true\nmutual = true")],
        ["mutual_without_tls @ broker mutual"],
    ),
    "a door for nobody": ([added('[broker]\nlisten = "0.0.0.0"')], ["listens_nowhere @ broker listen"]),
    "two listeners on one port": ([added('[tls]\nfolder = "tls"\nport = 8080')], ["https_port @ tls port"]),
    "hsts on another port": ([added('[tls]\nfolder = "tls"\nhsts = true')], ["hsts_ports @ tls hsts"]),
    "a road in the clear": ([added('[road]\nurl = "http://desk.north.example"')], ["open_road @ road url"]),
    "a road that is no address": ([added('[road]\nurl = "desk.north.example"')], ["bad_road @ road url"]),
    "a road with a question": ([added('[road]\nurl = "https://desk.north.example/?x"')], ["bad_road @ road url"]),
    "a road without TLS and with an authority": (
        [added('[road]\nurl = "http://127.0.0.1:8080"\nca = "ca.pem"')],
        ["road_without_tls @ road ca"],
    ),
    "a road to nowhere": ([added("[road]\nafter_s = 30")], ["missing_key @ road"]),
    "a link that is no page": ([added('[notify]\nlink = "desk.north.example/"')], ["bad_link @ notify link"]),
    "a link of another kind": ([added('[notify]\nlink = "ftp://desk.north.example/"')], ["bad_link @ notify link"]),
    "a link with a gap": ([added('[notify]\nlink = "https://desk.north.example/a b"')], ["bad_link @ notify link"]),
    "a link to nowhere": ([added('[notify]\nlink = "https:///alarms/"')], ["bad_link @ notify link"]),
    "a link to no port": ([added('[notify]\nlink = "https://desk:99999/"')], ["bad_link @ notify link"]),
    "a link with a password": ([added('[notify]\nlink = "https://li:pw@desk/"')], ["secret @ notify link"]),
    "a link that is a number": ([added("[notify]\nlink = 8080")], ["not_text @ notify link"]),
    "a link in the clear": ([added('[notify]\nlink = "http://desk.north.example/"')], ["open_link @ notify link"]),
    "channels to this machine": ([added("[notify]\nloopback = true")], ["loopback_channels @ notify loopback"]),
}


@pytest.mark.parametrize("name", WRONG)
def test_each_mistake_is_told_with_its_place(name: str) -> None:
    changes, expected = WRONG[name]
    assert told(changed(*changes)) == expected


@pytest.mark.proves("G1")
def test_a_grid_is_in_one_community_and_a_household_in_one_group_of_at_most_thirty() -> None:
    for name in (
        "a community that is not there",
        "a group in another community than its grid",
        "a group that is not there",
        "a group of 31",
        "a group without households",
    ):
        assert check_text(changed(*WRONG[name][0])).site is None, name


def test_the_sound_file_is_sound() -> None:
    assert told(SOUND) == []


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*.toml")), ids=lambda path: path.name)
def test_every_example_is_clean(example: Path) -> None:
    checked = check.check(example)
    assert checked.problems == ()
    assert checked.exit_code == 0
    assert check.load(example) == checked.site


def test_every_problem_of_the_catalogue_is_tried_here() -> None:
    tried = {line.partition(" ")[0] for _, expected in WRONG.values() for line in expected}
    assert tried == set(CATALOGUE)


@pytest.mark.parametrize("code", CATALOGUE)
def test_both_languages_say_the_same_things(code: str) -> None:
    """`why` and `what` are words themselves, one for each language; `known` and `limit` may stand in one."""
    words = CATALOGUE[code].words

    def fields(text: str) -> set[str]:
        return {(name or "").removesuffix("_zh").removesuffix("_en") for _, _, name, _ in Formatter().parse(text)} - {
            ""
        }

    assert fields(words.zh) == fields(words.en)
    assert any("\u4e00" <= char <= "\u9fff" for char in words.zh)
    assert words.en.isascii()


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file() -> None:
    text = changed(
        more(STATION, 'passwrod = "x"'),
        ("door = 102", "door = 101"),
        ("address = 2", 'address = "two"'),
        ('line = "gate"', 'line = "gat"'),
        (READER_PORT, "/dev/ttyUSB0"),
        (TAG, TAG + '[[tag]]\ntag = "7"\n'),
        more(LINE1, "baud = 9601"),
        more(H01, 'excludes = ["h01"]\nlabel = "13800138000"'),
    )
    checked = check_text(text)
    assert [problem.code for problem in checked.problems] == [
        "secret",
        "excludes_itself",
        "phone_number",
        "same_door",
        "bad_baud",
        "unstable_port",
        "misspelt_reference",
        "not_a_number",
        "bad_tag",
    ]
    assert (checked.errors, checked.warnings) == (8, 1)
    lines = [problem.line for problem in checked.problems]
    assert lines == sorted(lines, key=lambda line: line or 0)
    assert checked.site is None


@pytest.mark.parametrize("name", WRONG)
def test_each_mistake_is_told_with_its_line(name: str) -> None:
    """The line holds the key that is wrong, or begins the table in which something is missing."""
    text = changed(*WRONG[name][0])
    for problem in check_text(text).problems:
        if problem.code in {"missing_table", "no_gateway", "no_officer"}:
            assert problem.line is None
            continue
        assert problem.line is not None
        assert problem.column is not None
        line = text.splitlines()[problem.line - 1][problem.column - 1 :]
        last = problem.place.split(" ")[-1].partition("[")[0]
        assert line.startswith(("[", '"u01"', "emergency", "24", "id = north", last)), problem


def test_a_site_with_warnings_only_can_be_started() -> None:
    checked = check_text(changed((READER_PORT, "/dev/ttyUSB0")))
    assert checked.site is not None
    assert [problem.severity for problem in checked.problems] == [Severity.WARNING]
    assert checked.exit_code == 0


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("id = north", "quotation marks"),
        ('id = "north"\nid = "south"', "twice"),
        ('id "north"', '"="'),
        ('id = "north', "quotation mark is not closed"),
        ('id = "north" "south"', "left over"),
        ("= 3", "neither"),
        ("a.= 3", "begin like this"),
        ("[station", '"]"'),
        ("[station]\n[station]", "twice"),
        ("night = [22, 6", "bracket"),
        ("x = {a = 1", "bracket"),
        ('port = "C:\\ports"', "backslash"),
        ("x = " + "[" * 100_000, "nested too deeply"),
        ("x = " + "1" * 5_000, "too long"),
    ],
)
def test_a_text_that_is_no_toml_is_told_in_plain_words(line: str, says: str) -> None:
    (problem,) = check_text(f"# a site\n{line}").problems
    assert problem.code == "not_toml"
    assert says in problem.en


def test_a_slip_in_the_spelling_of_toml_has_its_line_and_column() -> None:
    (problem,) = check_text('[station]\nid = "north"\nlabel = north\n').problems
    assert (problem.line, problem.column) == (3, 9)
    (open_bracket,) = check_text('[station]\nid = "north"\nnight = [22,\n').problems
    assert open_bracket.line == 4
    assert problem.zh == "不是合法的 TOML：等号后面的值不合规；文字要加引号"


HUNTER = "hunter2"
KEY_HEX = "0F1E2D3C4B5A69788796A5B4C3D2E1F0"


@pytest.mark.parametrize(
    "entry",
    [
        f'password = "{HUNTER}"',
        f'[[gateway.unit]]\nkey = "{KEY_HEX}"',
        f"[[gateway.unit]]\nkey = 0x{KEY_HEX}",
        f"[[gateway.unit]]\naddress = 0x{KEY_HEX}",
        f'[[household]]\nexcludes = ["{KEY_HEX}"]',
        f'[broker]\nhost = "user:{HUNTER}://{HUNTER}:{HUNTER}@host"',
        f'[broker]\nport = "{KEY_HEX}"',
        f'[broker]\npsk = {{ a = "{HUNTER}" }}',
        f'[[officer]]\ntoken = "{HUNTER}"',
    ],
)
def test_what_looks_like_a_secret_is_refused_and_not_repeated(entry: str) -> None:
    checked = check_text(entry)
    said = check.as_json(Path("site.toml"), checked)
    assert checked.exit_code == 2
    assert HUNTER not in said
    assert KEY_HEX[:12] not in said.upper()
    assert str(int(KEY_HEX, 16))[:12] not in said


def unreadable(path: Path) -> str:
    with pytest.raises(SiteUnreadable) as caught:
        check.check(path)
    assert json.loads(check.unreadable_as_json(caught.value))["ok"] is False
    return caught.value.words.en


def test_a_file_that_cannot_be_read_is_told_apart_from_one_that_is_wrong(tmp_path: Path) -> None:
    gbk, large = tmp_path / "gbk.toml", tmp_path / "large.toml"
    gbk.write_bytes('label = "派出所"'.encode("gbk"))
    with large.open("wb") as file:
        file.truncate(check.MOST_BYTES + 1)
    assert "No such file" in unreadable(tmp_path / "none.toml")
    assert "directory" in unreadable(tmp_path)
    assert "UTF-8" in unreadable(gbk)
    assert "too large" in unreadable(large)


def test_a_file_from_notepad_is_read(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    path.write_bytes(b"\xef\xbb\xbf" + SOUND.replace("\n", "\r\n").encode())
    assert check.check(path).problems == ()


def test_a_program_does_not_start_from_a_file_with_errors(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    path.write_text(changed(("door = 102", "door = 101"), ("address = 2", "address = 1")), encoding="utf-8")
    with pytest.raises(SiteRefused, match=r"door 101 is h01's already \(and 1 more\)") as caught:
        check.load(path)
    assert len(caught.value.problems) == 2


def painted(checked: Checked, language: check.Language) -> str:
    console = Console(file=StringIO(), width=60)
    check.show(console, Path("site.toml"), checked, language=language)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_people_read_place_and_words_in_their_language() -> None:
    checked = check_text(changed(("door = 102", "door = 101"), (READER_PORT, "/dev/ttyUSB0")))
    assert painted(checked, "zh").splitlines() == [
        'site.toml:29:1 错误 household[2] "h02" door',
        "    联防组 ten1 里门号 101 已经是 h01 的",
        'site.toml:41:1 提醒 gateway[1] "gw1" line[2] "gate" port',
        f"    {CATALOGUE['unstable_port'].words.zh.format(value='/dev/ttyUSB0')}",
        "1 个错误，1 个提醒",
    ]
    assert painted(checked, "en").splitlines()[:2] == [
        'site.toml:29:1 error household[2] "h02" door',
        "    in group ten1, door 101 is h01's already",
    ]
    assert painted(check_text(SOUND), "zh") == "没有问题\n"
    assert painted(check_text(SOUND), "en") == "nothing is wrong\n"


def test_people_read_why_a_file_cannot_be_read(tmp_path: Path) -> None:
    console = Console(file=StringIO(), width=60)
    with pytest.raises(SiteUnreadable) as caught:
        check.check(tmp_path / "none.toml")
    check.show_unreadable(console, caught.value, language="zh")
    assert isinstance(console.file, StringIO)
    assert "无法读取文件" in console.file.getvalue()


def test_words_from_the_file_cannot_paint() -> None:
    """Neither rich's markup nor a terminal's escape comes through."""
    text = changed(more(H01, '"[red]x" = 1\n"\\u001b[2J" = 2'))
    shown = painted(check_text(text), "en")
    assert '"[red]x"' in shown
    assert "\x1b" not in shown


def test_programs_read_the_same_as_people() -> None:
    checked = check_text(changed(("door = 102", "door = 101")))
    assert json.loads(check.as_json(Path("site.toml"), checked)) == {
        "file": "site.toml",
        "ok": False,
        "errors": 1,
        "warnings": 0,
        "problems": [
            {
                "severity": "error",
                "code": "same_door",
                "place": 'household[2] "h02" door',
                "line": 29,
                "column": 1,
                "zh": "联防组 ten1 里门号 101 已经是 h01 的",
                "en": "in group ten1, door 101 is h01's already",
            }
        ],
    }


@pytest.mark.parametrize("key", ["heartbeat_s", "siren_s", "not_reached_s", "status_s", "night", "keep_events"])
def test_defaults_and_bounds_are_the_gateways(key: str) -> None:
    ours, theirs = site.Gateway.model_fields[key], GatewaySettings.model_fields[key]
    assert ours.default == theirs.default
    assert lowest(ours) == lowest(theirs)
    assert highest(ours) <= highest(theirs)


def lowest(of: FieldInfo) -> int | None:
    return next((limit.ge for limit in of.metadata if isinstance(limit, Ge) and isinstance(limit.ge, int)), None)


def highest(of: FieldInfo) -> float:
    return next((limit.le for limit in of.metadata if isinstance(limit, Le) and isinstance(limit.le, int)), inf)


@given(st.text())
@example("[[gateway]]\n[gateway.line]\n")
@example('household = [1, "x", {}]\ngateway = [[]]')
def test_no_text_makes_it_stumble(text: str) -> None:
    well_told(check_text(text), text)


@given(toml.documents)
def test_no_document_makes_it_stumble(document: toml.Document) -> None:
    text = toml.write(document)
    well_told(check_text(text), text)


@given(st.data())
def test_no_value_in_the_village_makes_it_stumble(data: st.DataObject) -> None:
    document = deepcopy(DOCUMENT)
    for _ in range(data.draw(st.integers(1, 3))):
        at: object = document
        while isinstance(at, dict | list) and at:
            step = data.draw(st.sampled_from(sorted(at) if isinstance(at, dict) else range(len(at))))
            inner = at[step]
            if not isinstance(inner, dict | list) or data.draw(st.integers(0, 5)) == 0:
                at[step] = data.draw(toml.values)
                break
            at = inner
    text = toml.write(document)
    well_told(check_text(text), text)


@given(
    st.integers(0, len(VILLAGE)), st.integers(0, 200), st.sampled_from(["", "\n", '"', "]", "[[gateway]]\n", "= 1\n"])
)
def test_no_cut_through_the_village_makes_it_stumble(at: int, length: int, put: str) -> None:
    text = VILLAGE[:at] + put + VILLAGE[at + length :]
    well_told(check_text(text), text)


def well_told(checked: Checked, text: str) -> None:
    """Every problem has its words and a place inside the text, and there is a site exactly when nothing is wrong."""
    assert (checked.site is None) == (checked.errors > 0)
    lines = text.replace("\r\n", "\n").split("\n")
    for problem in checked.problems:
        assert problem.zh
        assert problem.en
        assert problem.place.isprintable()
        if problem.line is not None and problem.column is not None:
            assert 1 <= problem.column <= len(lines[problem.line - 1]) + 1
    json.loads(check.as_json(Path("x"), checked))
