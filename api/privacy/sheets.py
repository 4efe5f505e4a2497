"""What a household can take home on paper: its data, its consents."""

from collections.abc import Mapping
from typing import Any, Final
from zoneinfo import ZoneInfo

from api.alarms.schemas import OUTCOME_WORDS, STATE_WORDS
from api.complaints.rules import ABOUT_WORDS, FINDING_WORDS, Way
from api.paper import civil, page
from broker.kinds import Words

HEADINGS: Final[Mapping[str, str]] = {
    "household": "住户 · Household",
    "addresses": "住址 · Address",
    "periods": "居住时间 · Periods",
    "contacts": "联系人 · Contacts",
    "notes": "救助提示 · Notes for responders",
    "consents": "同意与撤回 · Consents",
    "exclusions": "不通知的邻户 · Neighbours not told",
    "quietings": "邻户警笛静音 · Neighbours' sirens quieted",
    "complaints": "投诉 · Complaints",
    "accounts": "账号 · Accounts",
    "absences": "外出 · Absences",
    "answers": "对邻户报警的应答 · Answers to neighbours",
    "alarms": "报警 · Alarms",
    "looked_up": "谁的操作涉及本户 · What was done about this place",
}

PURPOSES: Final[Mapping[str, str]] = {
    "medical_word": "邻户可以看到“医疗求助”，而不只是“求助” · Neighbours read medical, and not only help",
    "responder_notes": "出警人员可以看到救助提示 · Responders read the notes that help them",
    "duress_key": "安装无声胁迫报警键，仅警方知道 · A silent duress key, of which only the police learn",
    "contacts": "保存联系人电话，用于回拨核实 · Phones of contacts are kept, for calling back",
    "position": "手机报警时告知手机位置 · A phone alarm tells where the phone is",
}


LABELS: Final[Mapping[str, str]] = {
    "about": "关于 · About",
    "account": "账号 · Account",
    "action": "操作 · Action",
    "address": "地址 · Address",
    "answer": "应答 · Answer",
    "at": "时间 · When",
    "began": "开始原因 · Began by",
    "by": "经手人 · By",
    "alarm": "报警编号 · Alarm",
    "answered": "答复时间 · Answered",
    "answered_by": "答复人 · Answered by",
    "area": "网格 · Grid",
    "code": "编码 · Code",
    "due": "应答复时间 · Due",
    "finding": "结论 · Found",
    "how": "方式 · How",
    "lifted_by": "解除人 · Lifted by",
    "outcome": "结果 · Outcome",
    "satisfaction": "满意度 · Satisfaction",
    "taken": "受理时间 · Taken",
    "taken_by": "受理人 · Taken by",
    "way": "方式 · How",
    "door": "门号 · Door",
    "ended": "结束原因 · Ended by",
    "erased": "删除 · Erased",
    "excluded": "不通知 · Not told",
    "from": "自 · From",
    "given": "同意 · Consented",
    "happened": "发生 · Happened",
    "id": "编号 · Id",
    "kind": "类别 · Kind",
    "kind_words": "类别 · Kind",
    "label": "门牌 · Door plate",
    "language": "语言 · Language",
    "lat_e7": "纬度 · Latitude",
    "login": "登录名 · Login",
    "lon_e7": "经度 · Longitude",
    "made": "建立 · Made",
    "name": "姓名 · Name",
    "note": "提示 · Note",
    "number": "序号 · Number",
    "occupant": "住户编号 · Occupant",
    "phone": "电话 · Phone",
    "place": "场所编号 · Place",
    "purpose": "用途 · Purpose",
    "rank": "顺序 · Order",
    "reason": "原因 · Reason",
    "received": "收到 · Received",
    "relation": "关系 · Relation",
    "since": "自 · Since",
    "state": "状态 · State",
    "text": "内容 · Text",
    "to": "至 · Until",
    "until": "至 · Until",
    "version": "版本 · Version",
    "way_in": "进入方式 · Way in",
    "words": "说明 · Words",
}
"""What a column is called on paper; one that is not here is called as the interface calls it."""


def _both(words: Words) -> str:
    return f"{words.zh} · {words.en[:1].upper()}{words.en[1:]}"


VALUES: Final[Mapping[tuple[str, str], str]] = {
    ("answer", "cannot"): "去不了 · Cannot come",
    ("answer", "coming"): "马上去 · Coming",
    ("answer", "watching"): "看着呢 · Watching",
    ("began", "moved_in"): "迁入 · Moved in",
    ("began", "lent"): "借住 · Lent to them",
    ("began", "swapped"): "互换 · Swapped",
    ("began", "returned"): "收回 · Given back",
    ("ended", "moved_out"): "迁出 · Moved out",
    ("ended", "lent"): "借出 · Lent to others",
    ("ended", "swapped"): "互换 · Swapped",
    ("ended", "returned"): "归还 · Given back",
    ("kind", "household"): "住户 · Household",
    ("kind", "office"): "单位 · Office",
    ("kind", "shop"): "商户 · Shop",
    ("note", "alone"): "独居 · Alone",
    ("note", "deaf"): "听障 · Deaf",
    ("note", "dog"): "养犬 · Dog",
    ("note", "other"): "其他 · Other",
    ("note", "oxygen"): "用氧 · Oxygen",
    ("how", "key"): "按键 · By key",
    ("how", "paper"): "书面 · On paper",
    ("how", "phone"): "电话 · By phone",
    ("language", "en"): "英文 · English",
    ("language", "zh"): "中文 · Chinese",
    ("way", Way.ACCOUNT): "账号 · By account",
    ("way", Way.BOARD): "公示牌 · Over the board",
    ("way", Way.PHONE): "电话 · By phone",
    **{("about", about.value): _both(words) for about, words in ABOUT_WORDS.items()},
    **{("finding", finding.value): _both(words) for finding, words in FINDING_WORDS.items()},
    **{("outcome", outcome.value): _both(words) for outcome, words in OUTCOME_WORDS.items()},
    **{("state", state.value): _both(words) for state, words in STATE_WORDS.items()},
    ("action", "absence.write"): "登记外出或回家 · Away, or back",
    ("action", "joining.confirm"): "确认住户账号 · Account confirmed",
    ("action", "joining.invite"): "发放开户码 · Invited to an account",
    ("action", "joining.refuse"): "拒绝住户账号 · Account refused",
    ("action", "joining.use"): "使用开户码 · Account made",
    ("action", "privacy.export"): "查看或打印全部信息 · Everything read or printed",
    ("action", "quieting.lift"): "恢复邻户警笛 · Neighbours' sirens sound again",
    ("action", "quieting.order"): "邻户警笛静音 · Neighbours' sirens quieted",
    ("action", "register.consent"): "登记同意或撤回 · Consent given or taken back",
    ("action", "register.contacts"): "修改联系人 · Contacts changed",
    ("action", "register.exclude"): "修改不通知的邻户 · Neighbours not told changed",
    ("action", "register.give_back"): "归还 · Given back",
    ("action", "register.lend"): "出借 · Lent",
    ("action", "register.move_in"): "迁入 · Moved in",
    ("action", "register.move_out"): "迁出 · Moved out",
    ("action", "register.name"): "更正住户名 · Name put right",
    ("action", "register.notes"): "修改救助提示 · Notes for responders changed",
    ("action", "register.people.read"): "查看住户信息 · People looked up",
    ("action", "register.place.change"): "修改场所 · Place changed",
    ("action", "register.place.close"): "关闭场所 · Place closed",
    ("action", "register.place.create"): "新增场所 · Place added",
    ("action", "register.swap"): "互换 · Swapped",
    ("action", "track.nearest"): "查找最近的保安员 · Nearest guards looked up",
}
"""What a code in a column is called on paper."""


def export_page(document: Mapping[str, Any], *, now_ms: int, zone: ZoneInfo) -> str:
    """An export as a page to print."""
    sections = [(heading, [_cells(row, zone) for row in document[name]]) for name, heading in HEADINGS.items()]
    return page("api.privacy", "export.html", place=_heading(document), sections=sections, made=civil(now_ms, zone))


def consent_page(document: Mapping[str, Any], *, now_ms: int, zone: ZoneInfo) -> str:
    """The consents of a household as a page to sign: what holds now for each purpose, and how to take it back."""
    now = {row["purpose"]: row for row in document["consents"] if row["to_ms"] is None}
    rows = [
        (words, now.get(purpose), "" if purpose not in now else civil(now[purpose]["from_ms"], zone))
        for purpose, words in PURPOSES.items()
    ]
    return page("api.privacy", "consent.html", place=_heading(document), rows=rows, made=civil(now_ms, zone))


def _heading(document: Mapping[str, Any]) -> str:
    """Where the household lives or lived, in words; the id of its place where no words are kept."""
    words = [str(word) for word in (document["address"], document["label"]) if word]
    return " · ".join(dict.fromkeys(words)) or str(document["place"])


def _cells(row: Mapping[str, Any], zone: ZoneInfo) -> list[tuple[str, str]]:
    plain = "kind_words" not in row
    return [
        (LABELS.get(name := key.removesuffix("_ms"), name), _cell(key, value, zone))
        for key, value in row.items()
        if value not in {None, ""} and (plain or key != "kind")
    ]


def _cell(key: str, value: Any, zone: ZoneInfo) -> str:
    match value:
        case bool():
            return "是 · Yes" if value else "否 · No"
        case int() if key.endswith("_ms"):
            return civil(value, zone) if value > 0 else "一直 · Always"
        case int() if key.endswith("_e7"):
            return f"{value / 10_000_000:.7f}"
        case str() if key == "purpose":
            return PURPOSES.get(value, value)
    return VALUES.get((key, str(value)), str(value))
