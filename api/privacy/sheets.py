"""What a household can take home on paper: its data, its consents."""

from collections.abc import Mapping
from typing import Any, Final
from zoneinfo import ZoneInfo

from api.paper import civil, page

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


def export_page(document: Mapping[str, Any], *, now_ms: int, zone: ZoneInfo) -> str:
    """An export as a page to print."""
    sections = [(heading, [_cells(row, zone) for row in document[name]]) for name, heading in HEADINGS.items()]
    return page("api.privacy", "export.html", place=document["place"], sections=sections, made=civil(now_ms, zone))


def consent_page(document: Mapping[str, Any], *, now_ms: int, zone: ZoneInfo) -> str:
    """The consents of a household as a page to sign: what holds now for each purpose, and how to take it back."""
    now = {row["purpose"]: row for row in document["consents"] if row["to_ms"] is None}
    rows = [
        (words, now.get(purpose), "" if purpose not in now else civil(now[purpose]["from_ms"], zone))
        for purpose, words in PURPOSES.items()
    ]
    return page("api.privacy", "consent.html", place=document["place"], rows=rows, made=civil(now_ms, zone))


def _cells(row: Mapping[str, Any], zone: ZoneInfo) -> list[tuple[str, str]]:
    return [
        (key, civil(value, zone) if key.endswith("_ms") and isinstance(value, int) and value > 0 else str(value))
        for key, value in row.items()
        if value not in {None, ""}
    ]
