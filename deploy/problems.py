"""What can be wrong with a site file, each with its words, and where.

`CATALOGUE` is the one table of all problems; whoever finds one names its code and what it is about, and never
writes a sentence. An error means that nothing can be started from the file; a warning, that something in it
will disappoint somebody.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from broker.kinds import Words
from deploy.positions import Path, Position


class Severity(StrEnum):
    """How bad it is."""

    ERROR = "error"
    WARNING = "warning"


ERROR: Final = Severity.ERROR
WARNING: Final = Severity.WARNING

SHOWN_CHARS: Final = 40
"""Of a value that somebody wrote; more does not help to find it."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One line of the catalogue. The words hold `{fields}`."""

    severity: Severity
    words: Words


def _error(zh: str, en: str) -> Kind:
    return Kind(ERROR, Words(zh, en))


def _warning(zh: str, en: str) -> Kind:
    return Kind(WARNING, Words(zh, en))


CATALOGUE: Final[Mapping[str, Kind]] = {
    # the text
    "not_toml": _error("不是合法的 TOML：{why_zh}", "this is not TOML: {why_en}"),
    "secret": _error(
        "站点文件里不能有密码或密钥。请删除这一项；密钥放在 keys/ 目录里",
        "no password or key may stand in the site file. Remove it; keys live in keys/, never in the TOML",
    ),
    # the shape
    "unknown_key": _error("没有“{key}”这一项，可用的有：{known}", 'there is no key "{key}" here; there are: {known}'),
    "misspelt_key": _error(
        "没有“{key}”这一项，是否想写“{near}”？", 'there is no key "{key}" here; did you mean "{near}"?'
    ),
    "missing_key": _error("缺少“{key}”", '"{key}" is missing'),
    "missing_table": _error("缺少 [{key}] 这一段", "the table [{key}] is missing"),
    "not_a_table": _error(
        "应当是一个表，写成 [{key}]，而不是 {value}", "this must be a table, written [{key}], not {value}"
    ),
    "not_tables": _error(
        "应当是若干个表，每个写成 [[{key}]]，而不是 {value}",
        "these must be tables, each written [[{key}]], not {value}",
    ),
    "not_text": _error("应当是带引号的文字，而不是 {value}", "this must be text in quotation marks, not {value}"),
    "not_a_number": _error("应当是整数，而不是 {value}", "this must be a whole number, not {value}"),
    "not_a_bool": _error("应当是 true 或 false，而不是 {value}", "this must be true or false, not {value}"),
    "not_a_list": _error("应当是方括号里的列表，而不是 {value}", "this must be a list in square brackets, not {value}"),
    "too_small": _error("不能小于 {limit}，现在是 {value}", "this must be at least {limit}, not {value}"),
    "too_large": _error("不能大于 {limit}，现在是 {value}", "this must be at most {limit}, not {value}"),
    "not_one_of": _error("应当是 {choices} 之一，而不是 {value}", "this must be one of {choices}, not {value}"),
    "bad_id": _error(
        "编号 {value} 不合规：用 1 到 32 个小写字母、数字和“-”",
        'the id {value} is not usable: take 1 to 32 lower-case letters, digits and "-"',
    ),
    "bad_tag": _error(
        "卡号 {value} 不合规：应当是 6、8、10、14 或 20 位大写十六进制数",
        "the tag {value} is not usable: it has 6, 8, 10, 14 or 20 hexadecimal digits in capitals",
    ),
    "bad_text": _error(
        "文字里有不可显示的字符，或超过 {limit} 个字", "this text holds invisible characters, or more than {limit}"
    ),
    "not_two": _error("这里要 {limit} 个值", "this takes {limit} values"),
    "not_valid": _error("{value} 在这里不能用", "{value} cannot be used here"),
    # names
    "duplicate_id": _error("编号 {value} 已经用在 {other}", "the id {value} is taken already by {other}"),
    "unknown_reference": _error("没有编号为 {value} 的{what_zh}", "there is no {what_en} {value}"),
    "misspelt_reference": _error(
        "没有编号为 {value} 的{what_zh}，是否想写 {near}？", "there is no {what_en} {value}; did you mean {near}?"
    ),
    # areas and groups
    "two_communities": _error(
        "网格 {grid} 属于社区 {right}，不是 {value}", "grid {grid} belongs to community {right}, not to {value}"
    ),
    "group_without_area": _warning(
        "这个联防组没有网格，也没有社区：报警时只有派出所和邻户知道",
        "this group has neither grid nor community: beside the police, only neighbours learn of its alarms",
    ),
    "group_empty": _error("这个联防组没有住户", "no household is in this group"),
    "group_too_large": _error(
        "一个联防组最多 {limit} 户，现在有 {count} 户", "a group has at most {limit} households; this one has {count}"
    ),
    "group_without_siren": _warning(
        "这个联防组没有任何警号或终端：有人报警时邻户听不到",
        "this group has no siren and no unit: its neighbours would hear nothing",
    ),
    "group_home_unclear": _error(
        "有 {count} 个网关，请写明这个组的主网关：gateway = …",
        "there are {count} gateways: say which one is this group's home, gateway = ...",
    ),
    "not_on_home_gateway": _error(
        "{unit} 在网关 {gateway} 上，但联防组 {group} 的主网关是 {home}。请移到主网关，"
        "或给住户 {household} 写 remote = true（经服务器响铃）",
        "{unit} hangs on gateway {gateway}, but the home of group {group} is {home}. Move it there, or mark household "
        "{household} remote = true (it then rings through the broker)",
    ),
    "remote_at_home": _warning(
        "标了 remote = true，但它的设备都在主网关 {home} 上",
        "marked remote, though all it has is on its home gateway {home}",
    ),
    # households
    "household_without_group": _warning(
        "没有联防组：报警时只有派出所知道", "in no group: only the police would learn of its alarms"
    ),
    "household_without_unit": _warning(
        "没有任何按键或终端：既不能报警，也听不到邻户",
        "has no key and no unit: it can neither call nor hear its neighbours",
    ),
    "household_without_key": _warning("没有按键：不能报警", "has nothing to press: it cannot call"),
    "household_without_siren": _warning(
        "没有终端也没有警号：听不到邻户报警", "has neither unit nor siren: it cannot hear its neighbours"
    ),
    "shared_siren": _warning(
        "这个警号不属于某一户，被联防组 {group} 的住户排除的邻户也会听到",
        "this siren belongs to no single household: neighbours whom somebody in group {group} excluded hear it, too",
    ),
    "household_without_door": _warning(
        "没有门号：警号报不出是哪一户", "has no door number: sirens cannot say which door"
    ),
    "same_door": _error(
        "联防组 {group} 里门号 {value} 已经是 {other} 的", "in group {group}, door {value} is {other}'s already"
    ),
    "phone_number": _error(
        "标签里像是有电话号码。邻户都会看到标签，请删去",
        "this label seems to hold a phone number. Every neighbour reads it: take the number out",
    ),
    "excludes_itself": _error("不能把自己排除", "a household cannot exclude itself"),
    "excludes_stranger": _error(
        "{value} 不在同一个联防组，本来就收不到；请核对编号",
        "{value} is not in the same group and would not be told anyway: check which household is meant",
    ),
    "duress_not_opted_in": _error(
        "住户 {household} 没有开通胁迫报警（duress = true），不能有无声按键",
        "household {household} has not opted in to duress (duress = true), so it may have no silent key",
    ),
    "duress_without_household": _error(
        "无声按键必须属于一个住户", "a silent key must belong to a household, which opted in"
    ),
    "duress_without_key": _warning(
        "开通了胁迫报警，但没有能发无声报警的按键", "opted in to duress, but has no key that could send it"
    ),
    # wires
    "same_address": _error(
        "线路 {name} 上地址 {value} 已经是 {other} 的", "on line {name}, address {value} is {other}'s already"
    ),
    "same_port": _error("端口 {value} 已经用于线路 {other}", "the port {value} is used already by line {other}"),
    "unstable_port": _warning(
        "{value} 这个名字重启或重插后可能变成另一个设备。请用不变的名字（ls -l /dev/shouwang /dev/serial/by-id）",
        "{value} can be another device after a restart or replugging. Use a name that stays "
        "(ls -l /dev/shouwang /dev/serial/by-id)",
    ),
    "port_leaves_state": _error(
        "不以 / 开头的端口名在数据目录之内，不能含有“..”",
        'a port name without / in front lies in the state directory: it cannot hold ".."',
    ),
    "bad_port": _error("{value} 不能作端口名", "{value} cannot be the name of a port"),
    "bad_baud": _error("波特率应当是 {choices} 之一，而不是 {value}", "the baud must be one of {choices}, not {value}"),
    "reader_baud": _warning(
        "{kind} 设备一般是 {wanted} 波特，不是 {value}", "{kind} devices speak at {wanted} baud as a rule, not {value}"
    ),
    "wrong_line_kind": _error(
        "线路 {name} 是 {kind}，这里要 {wanted}", "line {name} is {kind}; this needs one that is {wanted}"
    ),
    "second_reader": _error("线路 {name} 上已经有 {other}", "line {name} has {other} on it already"),
    "line_without_reader": _error(
        "{kind} 线路要有一个 [[gateway.reader]]", "a line that is {kind} needs a [[gateway.reader]] on it"
    ),
    "reader_nowhere": _error(
        "读卡器要么接在一条线路上（line），要么接在两个引脚上（d0 和 d1，韦根）",
        "a reader hangs on a line (line), or with Wiegand on two pins (d0 and d1): on one of these",
    ),
    "reader_not_wiegand": _error(
        "{key} 只用于韦根读卡器（d0 和 d1，或 wiegand 线路）",
        "{key} is for Wiegand readers (d0 and d1, or a line that is wiegand)",
    ),
    "button_of_household": _error(
        "巡查点按钮 (role = checkpoint) 不属于任何住户, 按下不报警",
        "a checkpoint's button (role = checkpoint) is no household's: pressing it is no alarm",
    ),
    "answer_of_key": _error(
        "buzzer 和 lamp 只用于巡查点按钮 (role = checkpoint)",
        "buzzer and lamp are for a checkpoint's button (role = checkpoint)",
    ),
    "reader_mute": _warning(
        "读卡器没有蜂鸣器也没有指示灯（buzzer、lamp），刷卡的人不知道是否打上",
        "this reader has neither buzzer nor lamp: whoever holds a card to it cannot tell whether it was read",
    ),
    "ambiguous_tag": _warning(
        "卡号 {value} 与 {other} 的后 24 位相同：韦根 26 读卡器和巡更棒分不清，两张都不认",
        "the tags {value} and {other} have the same last 24 bits: Wiegand-26 readers and wands cannot tell them apart, "
        "and neither is taken",
    ),
    "line_without_unit": _warning("这条线路上没有登记终端", "no unit is registered on this line"),
    "form_not_wanted": _error("form 只用于 radio433 线路", "form is for lines that are radio433"),
    # pins and radio
    "same_pin": _error("引脚 GPIO{value} 已经是 {other} 的", "GPIO{value} is {other}'s already"),
    "reserved_pin": _error(
        "GPIO{value} 是扩展板识别用的（ID_SD/ID_SC），不能接线",
        "GPIO{value} identifies extension boards (ID_SD, ID_SC): leave it free",
    ),
    "uart_pin": _error(
        "GPIO{value} 是串口引脚，线路 {name} 正在用它", "GPIO{value} belongs to the serial port that line {name} uses"
    ),
    "gpio_off": _error(
        '接了引脚，但网关写着 gpio = "none"', 'there is something on pins, but the gateway says gpio = "none"'
    ),
    "loop_at_rest": _error(
        "回路平时必须闭合（normally_closed = true），否则断线看不出来",
        "a loop must be closed at rest (normally_closed = true): else nobody sees that its wire was cut",
    ),
    "sounder_for_two": _error("household 和 group 只能写一个", "say household or group, not both"),
    "same_code": _error("这个遥控码已经是 {other} 的", "this code is {other}'s already"),
    "no_receiver": _warning(
        "这个网关没有 radio433 线路，收不到遥控", "this gateway has no line that is radio433, so it cannot hear remotes"
    ),
    "no_zigbee": _error("这个网关缺少 [gateway.zigbee]", "this gateway needs the table [gateway.zigbee] for it"),
    "same_name": _error("名称 {value} 已经用在 {other}", "the name {value} is taken already by {other}"),
    "same_tag": _error("卡号 {value} 重复", "the tag {value} stands here twice"),
    "bad_topic": _error(
        "{value} 里不能有 +、# 或空层级", "{value} must not hold +, # or an empty level: it becomes part of a topic"
    ),
    # the whole
    "no_gateway": _error("没有网关：至少要一个 [[gateway]]", "there is no gateway: at least one [[gateway]] is needed"),
    "gateway_idle": _warning("这个网关上没有任何按键、终端或读卡器", "nothing at all hangs on this gateway"),
    "no_officer": _warning(
        "没有 [[officer]]：没有人能签收报警", "there is no [[officer]]: nobody could acknowledge an alarm"
    ),
    "bad_host": _error("{value} 不能作主机名或地址", "{value} cannot be the name or address of a machine"),
    "private_elsewhere": _error(
        "private = true 时服务器在本机，不能写 {key}",
        "with private = true the broker is on this machine: leave {key} out",
    ),
    "open_broker": _warning(
        "到 {value} 的连接没有加密（缺少 ca），密码会在网上明文传送",
        "the way to {value} is not encrypted (no ca): passwords travel in the clear",
    ),
    "plain_broker": _error(
        "到 {value} 的连接没有加密：写 ca 或 mutual = true；确实要明文，写 plain = true",
        "the way to {value} is not encrypted: say ca or mutual = true; if it shall be so, plain = true",
    ),
    "mutual_without_tls": _error(
        "本机服务器用证书认人（mutual = true），要有 [tls] 里的服务器证书",
        "the broker of this machine knows its accounts by certificate (mutual = true): it needs [tls] for its own",
    ),
    "listens_nowhere": _error(
        "listen 只在 private = true 并且 mutual = true 时有用",
        "listen counts only with private = true and mutual = true",
    ),
    "https_port": _error(
        "HTTP 已经使用端口 {value}：HTTPS 要用另一个端口",
        "port {value} is that of HTTP: HTTPS needs another one",
    ),
    "hsts_ports": _error(
        "hsts = true 要求浏览器用 80 和 443 端口访问：浏览器会保留其他端口号，之后没有加密的页面都打不开",
        "hsts = true needs browsers to come by the ports 80 and 443: they keep any other, and then no page without TLS "
        "opens any more",
    ),
    "bad_road": _error(
        "{value} 不能作平台地址：应当以 https:// 开头，有主机名，没有账号、参数和空格",
        "{value} cannot be the station's address: it begins with https://, names a machine, and holds no account, "
        "no question mark and no spaces",
    ),
    "open_road": _error(
        "{value} 没有加密：报警只能走 https://；http:// 只能用于本机",
        "{value} is not encrypted: alarms go by https:// only; http:// is for this machine alone",
    ),
    "road_without_tls": _error(
        "http:// 不用证书：去掉 ca，或改用 https://",
        "http:// knows no certificates: leave ca out, or use https://",
    ),
    "bad_link": _error(
        "{value} 不是网页地址：应当以 https:// 或 http:// 开头，有主机名，没有空格",
        "{value} is no address of a page: it begins with https:// or http://, names a machine and holds no spaces",
    ),
    "open_link": _warning(
        "{value} 没有加密：打开警情的人的登录会在网上明文传送",
        "{value} is not encrypted: whoever opens an alarm there sends his sign-in in the clear",
    ),
    "loopback_channels": _warning(
        "loopback = true 只供测试：通知会发往本机，而且不加密",
        "loopback = true is for tests: channels may then send to this machine, and without TLS",
    ),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong at `path`, before it has words."""

    code: str
    path: Path
    fields: Mapping[str, object]


def finding(code: str, path: Path, **fields: object) -> Finding:
    """Something of the catalogue at `path`; `fields` are what its words need."""
    return Finding(code, path, fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong, for people (`zh`, `en`, `place`, `line`) and for programs (`code`)."""

    severity: Severity
    code: str
    place: str
    line: int | None
    column: int | None
    zh: str
    en: str


def put_into_words(found: Finding, document: object, positions: Mapping[Path, Position]) -> Problem:
    """The problem, its place named by what stands in `document` there."""
    kind = CATALOGUE[found.code]
    position = _nearest(found.path, positions)
    return Problem(
        severity=kind.severity,
        code=found.code,
        place=place(found.path, document),
        line=position.line if position else None,
        column=position.column if position else None,
        zh=kind.words.zh.format(**found.fields),
        en=kind.words.en.format(**found.fields),
    )


def place(path: Path, document: object) -> str:
    """`path` as a technician counts: `household[3] "h03" door`, from 1."""
    words: list[str] = []
    value = document
    for part in path:
        value = _step(value, part)
        if isinstance(part, int):
            words[-1:] = [f"{words[-1] if words else ''}[{part + 1}]", *_name(value)]
        else:
            words.append(shorten(part))
    return " ".join(words)


def _name(value: object) -> list[str]:
    if not isinstance(value, dict):
        return []
    names = (value.get(key) for key in ("id", "name", "tag"))
    return next(([f'"{shorten(name)}"'] for name in names if isinstance(name, str)), [])


def _step(value: object, part: str | int) -> object:
    match value, part:
        case dict(), str():
            return value.get(part)
        case list(), int() if part < len(value):
            return value[part]
    return None


def _nearest(path: Path, positions: Mapping[Path, Position]) -> Position | None:
    """The position of `path`, or of what it is in: a key that is missing has none of its own."""
    return next((positions[path[:end]] for end in range(len(path), -1, -1) if path[:end] in positions), None)


def shorten(text: str) -> str:
    """Somebody's text, without what cannot be shown, and not too long."""
    shown = "".join(char if char.isprintable() else "?" for char in text[: SHOWN_CHARS + 1])
    return shown if len(shown) <= SHOWN_CHARS else f"{shown[:SHOWN_CHARS]}…"
