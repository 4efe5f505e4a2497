"""Which screens docs/screens shows, what each is for, and what somebody does before its picture is taken."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from playwright.sync_api import Page

from tests.api.peers import GRID, HOUSEHOLDS
from tests.api.signing_in import PASSWORD

WHO: Final = {
    "": "everybody, without signing in",
    "wang": "officer on duty (值班民警)",
    "lin": "leader on duty (值班领导)",
    "tang": "county centre (指挥中心)",
    "bao": "guard company (保安公司)",
    "xin": "installer (安装员)",
    "sun": "community (社区)",
    "gu": "guard (保安)",
    "he": "group leader (联防组长)",
    "hu": "household (住户)",
    "kai": "administrator (管理员)",
    "shen": "auditor (审计员)",
    "liu": "grid worker (网格员)",
}
"""Whose eyes a picture has, by login."""
ZONE: Final = ZoneInfo("Asia/Shanghai")
SHEET: Final = f"id,group,door,label\n{HOUSEHOLDS[0]},gr1,101,王建国家\nh71,gr1,171,赵家\nh72,nowhere,x,钱家\n"

HEAD: Final = """# Screens

Made by `make screenshots` from a station of the tests with invented people; do not edit. `tests/screens` tries every
page in a browser, in both themes and at three widths.
"""

Do = Callable[[Page], None]


@dataclass(frozen=True)
class Shot:
    """One picture: of what, for whom, and where. `{...}` in a path is filled in when things are there."""

    name: str
    zh: str
    en: str
    about: str
    login: str
    path: str
    through: str = ""
    """A link on that page, as a pattern of its address, that leads to the one that is meant."""
    do: Do | None = field(default=None, compare=False)
    dark: bool = False
    wide: tuple[int, int] | None = None
    """Another window than a desk's or a phone's."""

    @property
    def phone(self) -> bool:
        """Whether it is held in a hand."""
        return self.path.startswith("/phone")


def _first(page: Page, selector: str) -> None:
    page.locator(selector).first.click()


def _open_alarm(page: Page) -> None:
    page.locator("#line.open").wait_for()
    page.locator("#alarms article .place").nth(1).click()
    page.locator("#detail h1, #detail h2").first.wait_for()


def _between(page: Page, **chosen: str) -> None:
    now = datetime.fromtimestamp(page.evaluate("Date.now()") / 1_000, ZONE)
    form = page.locator("form.sheet").first
    for name, value in chosen.items():
        box = form.locator(f"select[name={name}]")
        box.select_option(box.locator("option", has_text=value).first.get_attribute("value"))
    form.locator("input[name=begins]").fill(f"{now - timedelta(hours=1):%Y-%m-%dT%H:%M}")
    form.locator("input[name=ends]").fill(f"{now:%Y-%m-%dT%H:%M}")
    form.locator("input[name=reason]").fill("北公(刑)立字〔2027〕7号")
    form.locator("button.main").click()
    page.wait_for_load_state("load")


def _look_up(page: Page) -> None:
    _between(page, point="自行车棚")


def _track(page: Page) -> None:
    _between(page, guard="顾强")


def _import(page: Page) -> None:
    page.locator("input[type=file]").set_input_files(
        {"name": "柳树巷住户.csv", "mimeType": "text/csv", "buffer": SHEET.encode()}
    )
    page.locator("form[enctype] select[name=sheet]").select_option("places")
    page.locator("form[enctype] button.main").click()
    page.locator("#report, .work").first.wait_for()


def _factor(page: Page) -> None:
    form = page.locator("form[action='/me/factor']")
    form.locator("input[type=password]").fill(PASSWORD)
    form.locator("button").click()
    page.locator("input[name=code]").wait_for()


def _recompute(page: Page) -> None:
    _first(page, "form[action='/works/points'] button")
    page.locator("#now progress").wait_for()
    page.wait_for_timeout(1_500)


def _year(page: Page) -> None:
    page.locator("form.asked select[name=period]").select_option("year")
    page.locator("form.asked button.main").click()
    page.locator("dl.tiles").first.wait_for()


def _ladder(page: Page) -> None:
    page.locator("#mine .ladder li.reached").first.wait_for()


def _tab(name: str) -> Do:
    def do(page: Page) -> None:
        page.locator("#line.open").wait_for()
        page.wait_for_timeout(1_500)
        page.locator(f"#tab-{name}").tap()

    return do


def _help(page: Page) -> None:
    page.locator("#help-press").evaluate("(key) => key.scrollIntoView({ block: 'center' })")


def _scan(page: Page) -> None:
    page.locator("#to-scan, #tab-scan").first.tap()


DESK: Final = (
    Shot(
        "desk",
        "实时警情台",
        "Live desk",
        "Open alarms in order of urgency, as they arrive, and one of them beside the list; all by keyboard.",
        "wang",
        "/desk",
        do=_open_alarm,
    ),
    Shot(
        "desk-dark",
        "实时警情台（夜间）",
        "Live desk at night",
        "The same where the machine is set to dark.",
        "wang",
        "/desk",
        dark=True,
    ),
    Shot(
        "alarm",
        "警情",
        "One alarm",
        "The way in, whom to phone, who answers, the time of every hop, a small plan, attachments, audit.",
        "lin",
        "/alarms/{going}",
    ),
    Shot(
        "alarm-sheet",
        "派警单",
        "Sheet to take along",
        "One A4 for the patrol, with fields to sign.",
        "lin",
        "/api/v1/alarms/{going}/sheet",
        wide=(900, 1270),
    ),
    Shot(
        "map",
        "地图",
        "Map",
        "Areas, households, gateways, checkpoints and where guards checked in last; needs no internet.",
        "lin",
        "/map",
    ),
    Shot(
        "handover",
        "交接班",
        "Shift hand-over",
        "What was open, what was said, and who signed: nobody leaves without it.",
        "wang",
        "/duty/handovers",
        through=r"/duty/handovers/\d+",
    ),
    Shot(
        "handover-sheet",
        "交接单",
        "Hand-over on paper",
        "The same to print and keep.",
        "wang",
        "/api/v1/duty/handovers/1/sheet",
        wide=(900, 1270),
    ),
    Shot("duty", "值班", "Duty", "Who is on duty when, and who stands in.", "lin", "/duty"),
)
PATROL: Final = (
    Shot(
        "patrol", "巡逻", "Rounds now", "Rounds under way with their exceptions, first what is late.", "wang", "/patrol"
    ),
    Shot("rounds", "轮次", "Rounds of a day", "Every round of a day, point by point.", "wang", "/patrol/rounds"),
    Shot(
        "track",
        "轨迹",
        "Track of a guard",
        "Where a guard checked in, played back with a slider; asked with a reason.",
        "lin",
        "/patrol/track",
        do=_track,
    ),
    Shot(
        "look-up",
        "轨迹反查",
        "Reverse look-up",
        "Who was at a place at a time: was there, must have passed, could have been. Recorded with its reason.",
        "lin",
        "/patrol/look-up",
        do=_look_up,
    ),
    Shot(
        "roll-call",
        "点名",
        "Roll-call",
        "Drawn by lot; who answered from where within three minutes.",
        "wang",
        "/patrol/roll-calls",
        through=r"/patrol/roll-calls/\d+",
    ),
    Shot("plans", "计划", "Plans", "Routes, shifts and rounds.", "wang", "/patrol/plans"),
    Shot(
        "colours",
        "四色",
        "Colours",
        "How often an area wants to be passed, why, and until when.",
        "lin",
        "/patrol/colours",
    ),
    Shot(
        "coverage",
        "覆盖",
        "Coverage",
        "How often areas were passed, and where they were not.",
        "wang",
        "/patrol/coverage",
    ),
)
POINTS: Final = (
    Shot("points", "积分", "Ledger of points", "Every entry with its rule and state.", "wang", "/points"),
    Shot(
        "points-entry",
        "积分说明",
        "One entry explained",
        "Which rule of which version, on which facts, and how to appeal.",
        "wang",
        "/points",
        through=r"/points/entries/[^\"?]+",
    ),
    Shot("appeals", "申诉", "Appeals", "What guards object to, oldest first.", "wang", "/points/appeals"),
    Shot(
        "ranking",
        "排名",
        "Rankings",
        "Within one class of duty, with the reason for each place.",
        "wang",
        "/points/ranking",
    ),
    Shot(
        "grades",
        "公司等级",
        "Grades of companies",
        "What is left of a company's points, and how often it is looked at.",
        "wang",
        "/points/grades",
    ),
    Shot(
        "comment",
        "每日点评",
        "Daily comment",
        "A draft of sentences, each beside the facts that it cites; edited and signed.",
        "wang",
        "/points/comments",
        through=r"/points/comments/[^\"?]+",
    ),
    Shot(
        "company",
        "本公司",
        "Guard company",
        "A company's roster, exceptions, appeals, monthly sheet and grade.",
        "bao",
        "/company",
    ),
)
REGISTER: Final = (
    Shot(
        "register",
        "登记",
        "Register",
        "Areas and the households in them, with what is wrong.",
        "lin",
        "/register?area=gr1",
    ),
    Shot(
        "household-sheet",
        "住户",
        "One household",
        "Devices, people (asked for with a reason), consents, notes, absences.",
        "lin",
        f"/register/places/{HOUSEHOLDS[0]}",
    ),
    Shot(
        "consent-sheet",
        "同意书",
        "Consents on paper",
        "What a household agreed to, to be signed.",
        "wang",
        f"/api/v1/places/{HOUSEHOLDS[0]}/consent.html",
        wide=(900, 1270),
    ),
    Shot(
        "kept-sheet",
        "留存信息",
        "What is kept of a household",
        "Printed for the household when it asks.",
        "wang",
        f"/api/v1/places/{HOUSEHOLDS[0]}/export.html",
        wide=(900, 1270),
    ),
    Shot(
        "import",
        "导入试算",
        "Import, tried first",
        "What a file would change, and what is wrong in which row, before anything is taken.",
        "lin",
        "/register/sheets",
        do=_import,
    ),
    Shot(
        "devices",
        "报警器",
        "Devices",
        "Units in store and on walls, with keys and labels to print.",
        "xin",
        "/register/devices",
    ),
    Shot("device", "报警器二维码", "A device", "Its state, its key, and its QR label.", "xin", "/register/devices/u1"),
    Shot(
        "labels",
        "标签",
        "Labels to print",
        "Each with a QR code that opens the page of its device.",
        "xin",
        "/register/devices/labels?unit=u1&unit=u2&unit=u3",
    ),
    Shot(
        "gateways",
        "网关与账号",
        "Gateways and accounts",
        "A box gets its account at the broker once, on a sheet.",
        "kai",
        "/register/gateways",
    ),
    Shot(
        "installations",
        "安装",
        "Installation list",
        "What is left to do until a device is handed over.",
        "xin",
        "/register/installations",
    ),
    Shot(
        "board",
        "公示牌",
        "Public board",
        "Who looks after a grid, and how to complain: to print or to look at.",
        "",
        f"/boards/{GRID}",
    ),
    Shot(
        "complaints",
        "投诉",
        "Complaints",
        "What came by the form of the board, by whom it is answered and until when.",
        "sun",
        "/affairs/complaints",
    ),
    Shot("health", "故障", "Health", "Faults by urgency, each with what to do.", "lin", "/health"),
    Shot(
        "health-gateways",
        "网关和本站",
        "Gateways and station",
        "Version, clock, queue and last word of each gateway.",
        "lin",
        "/health/gateways",
    ),
)
REPORTS: Final = (
    Shot(
        "reports",
        "报表",
        "Reports",
        "Figures of a day, a week or a month, plotted and as the same numbers; XLSX, CSV and print.",
        "lin",
        "/reports",
    ),
    Shot(
        "report-year",
        "年度报表",
        "Report of a year",
        "Reckoned beside the page, shown as long as it is kept.",
        "lin",
        "/reports",
        do=_year,
    ),
    Shot(
        "work",
        "长任务",
        "Long work",
        "How far it is and how long it will take; it may be left, come back to and given up.",
        "lin",
        "/points/months",
        do=_recompute,
    ),
    Shot(
        "county",
        "县中心",
        "County page",
        "What nobody acknowledged, response per station, lost gateways, 督办 with a deadline.",
        "tang",
        "/county",
    ),
    Shot(
        "wall", "大屏", "Wall display", "Read-only, without names, doors or duress.", "tang", "/wall", wide=(1920, 1080)
    ),
)
HOMES: Final = (
    Shot(
        "group", "我的联防组", "Group leader", "Who answered, who is ready, who tests late, who joins.", "he", "/group"
    ),
    Shot("today", "今日待办", "Community", "What the community has to do today.", "sun", "/affairs/today"),
    Shot(
        "audit",
        "审计",
        "Auditor",
        "Who did what and who looked at whom, by words; the chain can be checked.",
        "shen",
        "/audit",
    ),
    Shot(
        "affairs",
        "隐患与警情线索",
        "Hazards and leads",
        "What was reported, who has it, and until when.",
        "sun",
        "/affairs",
    ),
    Shot(
        "drills", "演练与就绪", "Drills", "Announced, held and read: which household answered.", "he", "/affairs/drills"
    ),
    Shot(
        "tips",
        "预警与提示",
        "Warnings",
        "What is told to households of which areas, and who has read it.",
        "wang",
        "/affairs/tips",
    ),
)
OFFICE: Final = (
    Shot("login", "登录", "Login", "Name, password, and the code of the second factor.", "", "/login"),
    Shot("me", "我的", "Profile", "Language, password, PIN for a quick change of officer, sessions.", "wang", "/me"),
    Shot(
        "second-factor", "第二因素", "Second factor", "Set up with any app that makes codes.", "sun", "/me", do=_factor
    ),
    Shot("accounts", "账号与权限", "Accounts and rights", "Who has which role over what, since when.", "kai", "/admin"),
    Shot(
        "ladders",
        "升级阶梯",
        "Ladders",
        "Who is told after how long, per stage, kind and area.",
        "lin",
        "/admin/ladders",
    ),
    Shot(
        "rules",
        "策略与规则",
        "Policies and rules",
        "Retention, deadlines and what else is set, with what it means.",
        "kai",
        "/admin/rules",
    ),
)
FIRST: Final = (Shot("household", "住户手机", "Household", "One large key.", "hu", "/phone/"),)
"""While all is quiet."""
PHONES: Final = (
    Shot(
        "guard", "保安手机", "Guard's home", "Today's rounds, the next point, orders and calls.", "gu", "/phone/guard"
    ),
    Shot(
        "guard-check",
        "打卡",
        "Check-in",
        "By NFC, by the camera or by typing, also without a network.",
        "gu",
        "/phone/guard",
        do=_tab("check"),
    ),
    Shot(
        "guard-report",
        "隐患上报",
        "Hazard report",
        "With a photo that is made small first.",
        "gu",
        "/phone/guard",
        do=_tab("report"),
    ),
    Shot(
        "guard-points",
        "我的积分",
        "My points",
        "Each with its reason, and a way to appeal.",
        "gu",
        "/phone/guard",
        do=_tab("points"),
    ),
    Shot(
        "guard-help",
        "求助",
        "A guard calls for help",
        "One press; the last check-in says where he is.",
        "gu",
        "/phone/guard",
        do=_help,
    ),
    Shot(
        "field",
        "网格与社区手机",
        "Grid worker",
        "Alarms of the area and what is to be followed up.",
        "liu",
        "/phone/field",
    ),
    Shot(
        "field-todo",
        "网格待办",
        "Grid worker's list",
        "Follow-ups, tasks and errands.",
        "liu",
        "/phone/field",
        do=_tab("todo"),
    ),
    Shot(
        "install",
        "安装手机",
        "Installer",
        "Scan, place, test press, address read back and signed.",
        "xin",
        "/phone/install",
    ),
    Shot(
        "install-scan",
        "扫描报警器",
        "Installer scans",
        "By camera, by a photo or by typing.",
        "xin",
        "/phone/install",
        do=_scan,
    ),
    Shot("join", "加入", "Join", "By a one-time QR code; typed where there is no camera.", "", "/phone/join"),
    *FIRST,
    Shot(
        "neighbours",
        "邻居报警",
        "Neighbours' alarm",
        "马上去, 看着呢 or 去不了, in one press.",
        "hu",
        "/phone/",
        do=_tab("neighbours"),
    ),
    Shot(
        "news",
        "演练与提示",
        "Drills and warnings",
        "Drills ahead, warnings and tips.",
        "hu",
        "/phone/",
        do=_tab("news"),
    ),
    Shot("home", "我家的设备", "My unit", "Battery, test press, and who is phoned.", "hu", "/phone/", do=_tab("home")),
    Shot(
        "pressed",
        "我的警情",
        "What happened to my alarm",
        "The ladder: sent, received, seen, somebody comes.",
        "hu",
        "/phone/",
        do=_ladder,
    ),
)
LAST: Final = (
    Shot(
        "storm", "批量警情", "Storm mode", "Hundreds at once become cards of groups; none is hidden.", "wang", "/desk"
    ),
)
"""After these nothing is as it was."""

ALBUM: Final[dict[str, tuple[Shot, ...]]] = {
    "The desk": (*DESK, *LAST),
    "Patrols": PATROL,
    "Points": POINTS,
    "Register and health": REGISTER,
    "Reports, county, long work": REPORTS,
    "Where others begin": HOMES,
    "One's own, and administrators'": OFFICE,
    "Phones": PHONES,
}


def page_of(shot: Shot, path: str, picture: str | None) -> str:
    """docs/screens/<name>.md."""
    shown = f"![{shot.zh}]({picture})" if picture else "The picture is too large to keep: `make screenshots` makes it."
    made = "Made by `make screenshots` from a station of the tests; do not edit. [All screens](README.md)"
    seen = f"- Address: `{path}`\n- Seen here by: {WHO[shot.login]}"
    return f"# {shot.en} ({shot.zh})\n\n{made}\n\n{shot.about}\n\n{seen}\n\n{shown}\n"


def index() -> str:
    """docs/screens/README.md."""
    said = [HEAD]
    for part, shots in ALBUM.items():
        said.append(f"## {part}\n")
        said += [f"- [{one.en} ({one.zh})]({one.name}.md): {one.about}" for one in shots]
        said.append("")
    return "\n".join(said)


def every() -> list[Shot]:
    """In the order in which pictures are taken, without FIRST."""
    shots = [one for some in ALBUM.values() for one in some if one not in FIRST]
    return sorted(shots, key=lambda one: one in LAST)


def how(shot: Shot) -> dict[str, Any]:
    """The window of whoever looks."""
    if shot.phone:
        found: dict[str, Any] = {
            "viewport": {"width": 390, "height": 844},
            "is_mobile": True,
            "has_touch": True,
            "timezone_id": "Asia/Shanghai",
        }
    else:
        width, height = shot.wide or (1440, 900)
        found = {"viewport": {"width": width, "height": height}}
    return found | {"service_workers": "block"} | ({"color_scheme": "dark"} if shot.dark else {})
