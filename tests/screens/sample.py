"""What a station has after some months: something on every page, in the length that people really write.

An empty page looks good at any width; this one does not let it.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from api.accounts import repository as accounts
from api.accounts.models import ApiToken
from api.points.facts import Fact, Happened, Happening
from api.rights.rules import Role
from api.settings import token_hash
from broker.kinds import Kind, Words
from tests.api.peers import COMMUNITY, GRID, HOUSEHOLDS, STATION, Gateway
from tests.api.people import Hands, Somebody, somebody
from tests.api.signing_in import ORIGIN
from tests.api.test_guards import hire
from tests.screens.seeing import Serving

LOGINS = ("wang", "lin", "bao", "xin", "sun", "gu", "he", "hu", "kai")
EAST = Words("东门岗亭", "East gate box")
V1 = "/api/v1"
STREET = "柳河县清泉镇北关街道东街社区柳树巷"
LONG = (
    "巷口第三根电线杆旁的消防通道被两辆三轮车和一堆旧家具堵死，消防车进不来；已劝说车主两次，仍未移走，请协调城管。",
    "The fire lane beside the third pole is blocked by two tricycles and old furniture; the owners were asked twice.",
)
AREAS = {STATION: "城北派出所", COMMUNITY: "东街社区", GRID: "东街第二网格", "gr1": "柳树巷十户联防组"}


class Furnisher:
    """Who does what at one station, each as himself."""

    def __init__(self, busy: Serving, hands: Hands) -> None:
        self.busy, self.hands = busy, hands
        self.served = busy.served
        ids = {login: id_ for id_, login in self.served.rows("SELECT id, login FROM account") if login in LOGINS}
        for id_ in ids.values():
            with self.served.station.database.write() as session:
                session.add(
                    ApiToken(id=f"t-{id_}", account=id_, digest=token_hash(f"token-of-{id_}"), label="test", made_ms=1)
                )
        self.ids = ids
        self.wang, self.lin, self.bao, self.xin, self.sun, self.gu, self.he, self.hu, self.kai = (
            Somebody(self.served, ids[login]) for login in ("wang", "lin", "bao", "xin", "sun", "gu", "he", "hu", "kai")
        )
        self.officer = Somebody(self.served, "planner")
        self.county = self.person("tang", "唐主任", Role.COMMAND_CENTRE, STATION)
        self.worker = self.person("liu", "刘网格", Role.GRID_WORKER, GRID)
        self.qian = self.person("qian", "钱进", Role.OFFICER, STATION)
        ((self.guard,),) = self.served.rows("SELECT id FROM guard")
        self.others = [
            hire(self.officer, f"B{nth}", name, "beiguan") for nth, name in ((2, "孙大海"), (3, "阿卜杜拉·买买提江"))
        ]

    def person(self, id_: str, name: str, role: Role, scope: str) -> Somebody:
        made = somebody(self.served, id_, role, scope)
        with self.served.station.database.write() as session:
            accounts.change_account(session, id_, name=name)
        return made

    def at(self, **later: float) -> str:
        return (datetime.fromtimestamp(self.hands.now_ms / 1_000, UTC) + timedelta(**later)).isoformat()

    def change(self, who: Somebody, path: str, body: Any, method: str = "PUT", read: str | None = None) -> Any:
        """Write what was just read."""
        headers = {"Authorization": f"Bearer token-of-{who.id}"}
        seen = self.served.client.get(V1 + (read or path), headers=headers)
        tag = seen.headers.get("etag") or f'"{seen.json()["version"]}"'
        answer = self.served.client.request(method, V1 + path, json=body, headers=headers | {"If-Match": tag})
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def register(self) -> None:
        names = ("王建国", "李秀英", "陈淑芬", "刘志强")
        for nth, (area, name) in enumerate(AREAS.items()):
            read = self.lin.get(f"{V1}/register/areas/{area}")
            kept = {key: read[key] for key in ("kind", "parent", "police_parent", "gateway")}
            edge = 0.012 - 0.003 * nth
            around = [(-edge, -edge), (edge, -edge), (edge, edge), (-edge, edge)]
            outline = [[round(116.4 + x, 5), round(39.9 + y * 0.7, 5)] for x, y in around]
            self.change(self.lin, f"/register/areas/{area}", kept | {"name": name, "outline": outline, "code": None})
        for nth, place in enumerate(HOUSEHOLDS):
            body = {
                "group": "gr1",
                "door": 101 + nth,
                "label": f"{names[nth][0]}家",
                "address": f"{STREET}{12 + nth}号院{nth + 1}单元{101 + nth}室",
                "way_in": "从东门进，过了自行车棚左转；夜里大门锁着，钥匙在传达室。",
                "longitude": round(116.399 + nth * 0.0006, 5),
                "latitude": round(39.8995 + nth * 0.0004, 5),
            }
            self.change(self.lin, f"/register/places/{place}", body)
        place = HOUSEHOLDS[0]
        people = f"/register/places/{place}"
        for purpose in ("contacts", "responder_notes"):
            consent = {"purpose": purpose, "version": 1, "given": True, "how": "paper"}
            self.change(self.sun, f"{people}/consents", consent, "POST", f"{people}/people?reason=回访核对")
        contacts = [
            {"name": "王小红", "phone": "13900000001", "relation": "女儿"},
            {"name": "王建国", "phone": "13900000002", "relation": "本人"},
        ]
        self.change(self.sun, f"{people}/contacts", {"contacts": contacts}, "PUT", f"{people}/people?reason=回访核对")
        for nth, unit in enumerate(("u2", "u3", "u900")):
            new = {"id": unit, "sort": "native", "serial": f"SW-2026-00{nth}17", "gateway": "g1"}
            self.lin.post(f"{V1}/register/units", new, status=201)
            if unit != "u900":
                self.change(
                    self.officer,
                    f"/register/units/{unit}/install",
                    {"place": HOUSEHOLDS[nth + 1]},
                    "POST",
                    f"/register/units/{unit}",
                )
        self.change(
            self.officer,
            "/register/places/h04/quiet",
            {"minutes": 240, "reason": "报警器反复误报，待修"},
            "POST",
            "/register/places/h04",
        )
        team = {"name": "柳树巷应急分队", "sort": "volunteers", "area": "gr1", "company": None}
        self.served.client.put(
            f"{V1}/register/teams/t1", json=team, headers={"Authorization": "Bearer token-of-planner"}
        )
        planned = {"at": self.at(days=3), "place": HOUSEHOLDS[3], "step": "move_out"}
        self.wang.post(f"{V1}/register/planned/occupancies", planned)
        board = {
            "supervision_phone": "110 1234",
            "note": "每周三下午在居委会一楼接待。",
            "entries": [
                {"name": "刘网格", "duty": "网格员，负责柳树巷和自行车棚一带", "contact": "139 0000 0000"},
                {"name": "孙主任", "duty": "社区主任", "contact": "010-5550 1234"},
            ],
        }
        self.sun.put(f"{V1}/boards/{GRID}", board)
        self.sun.post(f"{V1}/places/{HOUSEHOLDS[1]}/joining", status=201)

    def patrol(self) -> None:
        o = self.officer
        for nth, point in enumerate(("east", "shed", "power")):
            o.post(f"{V1}/checkpoint-tags", {"tag": f"000884435{nth}", "point": point}, status=201)
        for guard, tag in zip((self.guard, *self.others), ("04A1B2C3", "04A1B2C4", "04A1B2C5"), strict=True):
            o.post(f"{V1}/guards/{guard}/cards", {"tag": tag}, status=201)
        o.put(f"{V1}/patrol-days/2027-02-17", {"counts_as": 7, "name": "春节"})
        o.put(f"{V1}/patrol-days/2027-02-14", {"counts_as": 3, "name": "调休上班"})
        colour = {"colour": "orange", "reason": "三起电动车被盗", "afterwards": "yellow", "expires": self.at(days=7)}
        self.change(self.lin, "/areas/gr1/colour", colour)
        team = {"begins": self.at(hours=6), "ends": self.at(hours=15), "round_min": 40}
        night = {
            "begins": self.at(hours=6),
            "ends": self.at(hours=14),
            "limit_min": 60,
            "teams": [{"team": name} | team for name in ("t1", "t2")],
        }
        o.post(f"{V1}/areas/gr1/staggered-plans", night, status=201)
        drawn = o.post(f"{V1}/roll-calls/draws", {"area": "gr1", "many": 1}, status=201)
        o.post(f"{V1}/roll-calls/{drawn['number']}/call", status=200)
        spot = {"area": "gr1", "guard": self.guard, "words": "北门有人打架，先去看看", "minutes": 30}
        o.post(f"{V1}/spot-calls", spot, status=201)
        duty = {
            "area": "gr1",
            "shift": "夜班",
            "begins": self.at(hours=1),
            "ends": self.at(hours=9),
            "guards": self.others,
        }
        o.post(f"{V1}/patrol-duties", duty, status=201)

    def points(self) -> None:
        told = (
            (self.guard, (Happened.COMPLETE,)),
            (self.guard, (Happened.MISSED, Happened.LATE)),
            (self.others[0], (Happened.COMPLETE, Happened.INSPECTION_PASSED)),
            (self.others[1], (Happened.GEAR_MISSING,)),
            (self.guard, (Happened.TOO_FAST, Happened.CLOCK)),
            (self.others[0], (Happened.NOT_ANSWERED,)),
        )
        for nth, (guard, what) in enumerate(told):
            for_ = tuple(
                Happening(
                    what=one,
                    item=f"{nth}:gate",
                    evidence=(f"checkin:{nth}",),
                    called=Words("东门岗亭", "East gate box"),
                )
                for one in what
            )
            fact = Fact(
                key=f"round:{90 + nth}",
                guard=guard,
                company="beiguan",
                area=COMMUNITY,
                occurred_ms=self.hands.now_ms - (nth * 20 + 5) * 60_000,
                duty=True,
                active=True,
                happenings=for_,
            )
            with self.served.station.database.write() as session:
                self.served.station.points.note(session, fact)
        merit = {
            "what": "arrest",
            "guard": self.guard,
            "reference": "BG-2027-0018",
            "occurred": self.at(hours=-2),
            "points_tenths": 50,
        }
        self.officer.post(f"{V1}/points/merits", merit, status=201)
        mine = [one for one in self.bao.get(f"{V1}/points/entries")["items"] if one["guard"] == self.guard]
        for entry in mine[:1]:
            self.gu.post(f"{V1}/points/entries/{entry['id']}/appeal", {"words": "当时在处置北门纠纷，值班室知道。"})
        card = {"level": "second", "quarter": "2026Q4", "reason": "抓获盗窃电动车嫌疑人一名"}
        self.lin.post(f"{V1}/guards/{self.guard}/good-cards", card, status=201)
        self.county.post(f"{V1}/reward-fund", {"amount_fen": 20_000_000, "reference": "财2027-1"}, status=201)
        reward = {
            "event": "J2027-9",
            "guard": self.guard,
            "amount_fen": 50_000,
            "occurred": self.at(minutes=-30),
            "words": "协助抓获盗窃嫌疑人",
        }
        self.bao.post(f"{V1}/rewards", reward, status=201)
        self.officer.post(f"{V1}/points/comments/{STATION}", {"day": "2027-01-15"}, status=201)

    def affairs(self) -> None:
        entry = {
            "id": "monthly",
            "name": "月度测试协助",
            "department": "区民政局",
            "authority": "区网格准入〔2026〕3号批复",
            "deadline_h": 48,
            "funds": "每件15元",
        }
        self.county.post(f"{V1}/admitted", entry, status=201)
        for nth, words in enumerate((*LONG, "井盖没了")):
            self.officer.post(
                f"{V1}/matters",
                {"kind": "hazard" if nth < 2 else "incident", "group": "gr1", "words": words},
                status=201,
            )
        self.wang.post(f"{V1}/matters/1/steps", {"action": "acknowledge"})
        self.wang.post(f"{V1}/matters/1/steps", {"action": "on_scene", "words": "已到现场"})
        task = {
            "admitted": "monthly",
            "worker": "liu",
            "area": GRID,
            "words": "协助柳树巷501室老人完成月度测试，并教会其家人",
            "matter": 1,
        }
        self.sun.post(f"{V1}/tasks", task, status=201)
        self.sun.post(f"{V1}/tasks", task | {"matter": None, "words": "核对楼道消防栓"}, status=201)
        self.worker.post(f"{V1}/tasks/2/done", {"words": "已核对，三楼缺水带一盘"})
        drill = {
            "group": "gr1",
            "units": ["u1", "u2"],
            "begins": self.at(minutes=15),
            "ends": self.at(minutes=45),
            "purpose": "每月十户联防演练",
        }
        self.he.post(f"{V1}/drills", drill, status=201)
        for nth, title in enumerate(("冒充客服退款诈骗", "今夜大风，请收好阳台物品")):
            tip = {
                "kind": "warning" if nth == 0 else "tip",
                "title": title,
                "text": "接到自称客服、要求转账或共享屏幕的电话一律挂断，拨打96110核实。",
                "areas": [COMMUNITY],
                "expires": self.at(days=7),
            }
            self.wang.post(f"{V1}/tips", tip, status=201)
        self.hu.post(f"{V1}/tips/1/read", status=204)
        for words in ("三个月没有人来换楼道的灯，打了三次电话都说登记了。", "来电说路灯坏了"):
            self.served.client.post(
                f"{V1}/boards/{GRID}/complaints",
                json={"about": "grid_worker", "words": words},
                headers={"Origin": ORIGIN},
            )
        self.sun.post(f"{V1}/complaints/1/take")

    def joint(self) -> None:
        inspection = {
            "area": "gr1",
            "guard": self.guard,
            "point": "east",
            "items": ["dress", "gear"],
            "words": "反光背心破损，手电没电",
        }
        self.wang.post(f"{V1}/inspections", inspection, status=201)
        training = {
            "area": "gr1",
            "subject": "灭火器与微型消防站操作",
            "begins": self.at(minutes=-5),
            "ends": self.at(minutes=55),
            "expected": [self.guard, *self.others],
        }
        self.wang.post(f"{V1}/trainings", training | {"begins": self.at(minutes=1)}, status=201)
        meeting = {
            "area": "gr1",
            "subject": "第三周联席例会",
            "at": self.at(hours=-2),
            "companies": ["beiguan"],
            "minutes": "一、通报本周警情\n二、部署春节期间夜巡\n三、表扬顾强",
            "tasks": [{"company": "beiguan", "words": "补齐反光背心和手电，逐人签收", "due": self.at(days=3)}],
        }
        self.wang.post(f"{V1}/meetings", meeting, status=201)

    def duty(self) -> None:
        for login, role in (("wang", "duty_officer"), ("lin", "duty_leader")):
            shift = {
                "account": self.ids[login],
                "role": role,
                "area": STATION,
                "starts_min": 480,
                "lasts_min": 1440,
                "weekdays": [1, 2, 3, 4, 5, 6, 7],
            }
            self.lin.post(f"{V1}/duty/roster", shift, status=201)
        leave = {"account": self.ids["wang"], "stand_in": "qian", "begins": self.at(days=2), "ends": self.at(days=4)}
        self.lin.post(f"{V1}/duty/leaves", leave, status=201)
        note = {"taker": "qian", "note": "柳树巷消防通道的事等城管回话；配电房门锁坏了，保安每小时看一次。"}
        made = self.wang.post(f"{V1}/duty/handovers", note, status=201)
        self.made_handover = made

    def office(self) -> None:
        self.kai.post(f"{V1}/desks", {"name": "接警台一号机", "area": STATION}, status=201)
        self.kai.post(f"{V1}/notify/hosts", {"host": "sms.example"}, status=201)
        channel = {
            "sort": "webhook",
            "url": "https://sms.example/hook",
            "label": "派出所值班短信",
            "quiet_from_min": 1350,
            "quiet_to_min": 420,
        }
        self.lin.post(f"{V1}/notify/station/channels", channel, status=201)
        rungs = [{"after_s": 30, "tell": ["desk"]}, {"after_s": 90, "tell": ["duty_leader"]}]
        self.change(self.lin, "/ladders/acknowledge/panic/gr1", {"rungs": rungs})

    def alarms(self, gateway: Gateway) -> str:
        """An alarm of this morning that is over, and one that people are on their way to. The latter's id."""
        now = self.hands.now_ms
        made = []
        for ago_min, kind, nth in ((55, Kind.PANIC, 2), (6, Kind.INTRUSION, 1)):
            self.hands.now_ms = now - ago_min * 60_000
            at_ms = self.hands.now_ms
            event = gateway.event(
                at_ms=at_ms,
                kind=kind,
                label=("王建国家", "李秀英家", "陈淑芬家")[nth],
                door=101 + nth,
                place=HOUSEHOLDS[nth],
                unit=f"u{nth + 1}",
            )
            gateway.send([event])
            gateway.receipted([event])
            made.append(f"{V1}/alarms/{event.id}")
            self.hands.pass_(seconds=18)
            self.wang.post(f"{made[-1]}/acknowledge")
            self.hands.pass_(seconds=40)
            self.wang.post(f"{made[-1]}/call-back", {"result": "no_answer", "words": "响了八声无人接"})
            self.hands.pass_(seconds=15)
            self.wang.post(f"{made[-1]}/dispatch", {"accounts": ["planner"], "words": "二号车过去看看"})
        self.hands.now_ms = now
        self.hu.post(f"{made[1]}/answer", {"answer": "coming"})
        self.sun.post(f"{made[1]}/notes", {"words": "传达室说十分钟前看见一个背黑包的人从东墙翻进院子，往三单元去了。"})
        self.wang.post(f"{made[1]}/orders", {"guard": self.guard, "words": "从东门进，先看三单元"}, status=201)
        self.hands.now_ms = now - 40 * 60_000
        self.wang.post(f"{made[0]}/on-scene", {"account": "planner", "behalf": "planner"})
        self.wang.post(f"{made[0]}/resolve", {"outcome": "false", "cause": "child", "words": "孩子玩耍误按，已教育"})
        self.hands.now_ms = now
        gateway.say_status(register_version=1, faults=("clock",))
        return made[1].rpartition("/")[2]

    def everything(self, gateway: Gateway) -> str:
        self.register()
        self.patrol()
        self.points()
        self.affairs()
        self.joint()
        self.duty()
        self.office()
        return self.alarms(gateway)
