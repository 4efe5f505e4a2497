"""Who somebody is: signing in, sessions that end, desks that do not, second factor, tokens, joining."""

import stat
import statistics
from collections.abc import Iterator
from pathlib import Path
from threading import get_ident
from time import thread_time
from typing import Any

import pyotp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event

from api.accounts import proofs, repository, rules
from api.accounts.office import secret_path
from api.accounts.proofs import Passwords
from api.accounts.rules import Ended, Limits
from api.accounts.service import Presented
from api.audit import repository as chain
from api.rights.rules import Role
from api.settings import StationSettings, token_hash
from tests.api.conftest import TOKENS, Serve, Served
from tests.api.peers import GRID, HOUSEHOLDS, STATION
from tests.api.signing_in import PASSWORD, SECRET, Browser, account, browser, code, digest, machine

MINUTE = 60_000


class Time:
    """A clock that the test drives."""

    def __init__(self) -> None:
        self.ms = 1_800_000_000_000

    def __call__(self) -> int:
        return self.ms


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def station(serve: Serve, time: Time) -> Iterator[Served]:
    with serve(clock=time, wait=False) as one:
        yield one


@pytest.fixture
def page(station: Served) -> Browser:
    return browser(station.station, station.client.app)


def another(page: Browser) -> Browser:
    return browser(page.station, page.client.app)


def audited(page: Browser, action: str) -> int:
    with page.station.database.read() as session:
        return sum(1 for entry, _ in chain.walk(session) if entry.action == action)


class TestRules:
    @given(st.integers(0, 200), st.sampled_from([rules.DESK_WAIT_MS, rules.ACCOUNT_WAIT_MS, rules.SOURCE_WAIT_MS]))
    def test_a_wait_grows_and_has_an_end(self, failures: int, most: int) -> None:
        assert 0 <= rules.wait_ms(failures, most_ms=most) <= rules.wait_ms(failures + 1, most_ms=most) <= most

    def test_the_first_mistakes_cost_nothing(self) -> None:
        assert [rules.wait_ms(times, most_ms=60_000) for times in range(8)] == [0, 0, 0, 0, 0, 1_000, 2_000, 4_000]

    @pytest.mark.parametrize(
        ("began", "seen", "ended"),
        [(0, 950, None), (0, 949, Ended.IDLE), (-9_000, 999, Ended.OLD), (-8_999, 999, None)],
    )
    def test_a_session_ends_when_it_is_idle_or_old(self, began: int, seen: int, ended: Ended | None) -> None:
        limits = Limits(idle_ms=51, absolute_ms=10_000)
        assert rules.has_ended(began_ms=began, seen_ms=seen, now_ms=1_000, limits=limits) is ended

    @pytest.mark.parametrize(
        ("pin", "weak"),
        [("111111", True), ("121212", True), ("123456", True), ("987654", True), ("890123", True), ("204917", False)],
    )
    def test_pins_that_anybody_tries_first_are_weak(self, pin: str, *, weak: bool) -> None:
        assert rules.weak_pin(pin) is weak

    @pytest.mark.parametrize(
        ("at_s", "expected"),
        [(59, "94287082"), (1111111109, "07081804"), (1234567890, "89005924"), (20000000000, "65353130")],
    )
    def test_codes_are_those_of_the_standard(self, at_s: int, expected: str) -> None:
        """RFC 6238, appendix B, SHA-1, its last six digits."""
        secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
        assert proofs.totp_step(secret, expected[-6:], at_ms=at_s * 1_000, after=0) == at_s // 30
        assert proofs.totp_step(secret, expected[-6:], at_ms=at_s * 1_000, after=at_s // 30) is None


@pytest.mark.proves("G5")
class TestSigningIn:
    def test_who_signed_in_is_known_until_he_signs_out(self, page: Browser) -> None:
        wang = account(page.station, "wang", (Role.OFFICER, STATION))
        assert page.sign_in("Wang")["account"] == wang
        assert page.get("/api/v1/session")["grants"] == [{"role": "officer", "scope": STATION, "to": None}]
        page.get("/api/v1/alarms")
        page.ask("DELETE", "/api/v1/session", status=204)
        page.get("/api/v1/alarms", status=401)

    def test_the_cookie_is_out_of_reach_of_scripts_and_kept_as_a_digest(self, page: Browser) -> None:
        account(page.station, "wang", (Role.OFFICER, STATION))
        answer = page.ask("POST", "/api/v1/session", json={"login": "wang", "password": PASSWORD})
        cookie = answer.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=lax" in cookie
        assert "secure" not in cookie
        assert page.cookie is not None
        with page.station.database.read() as session:
            assert page.station.accounts.who(session, Presented(cookie=digest(page.cookie))) is None
        answer = page.client.post("https://testserver/api/v1/session", json={"login": "wang", "password": PASSWORD})
        assert "secure" in answer.headers["set-cookie"].lower()

    def test_every_sign_in_gets_a_new_cookie_and_ends_the_one_before(self, page: Browser) -> None:
        account(page.station, "wang", (Role.OFFICER, STATION))
        page.sign_in("wang")
        first = page.cookie
        page.sign_in("wang")
        assert first != page.cookie
        thief = another(page)
        thief.client.cookies.set("shouwang_session", str(first))
        thief.get("/api/v1/session", status=401)

    def test_a_cookie_that_somebody_planted_before_is_not_taken_over(self, page: Browser) -> None:
        account(page.station, "wang", (Role.OFFICER, STATION))
        page.client.cookies.set("shouwang_session", "planted")
        page.sign_in("wang")
        assert "planted" not in [
            cookie.value for cookie in page.client.cookies.jar if cookie.path == "/" and cookie.domain
        ]

    def test_unknown_login_and_wrong_password_are_answered_alike(self, page: Browser) -> None:
        account(page.station, "wang", (Role.OFFICER, STATION))
        unknown = page.sign_in("nobody", "wrong", status=401)
        assert unknown == page.sign_in("wang", "wrong", status=401)
        assert unknown["type"] == "wrong_secret"

    def test_what_is_kept_of_a_password_costs_what_was_measured(self) -> None:
        assert Passwords().hash(PASSWORD).startswith("$argon2id$v=19$m=19456,t=3,p=1$")

    def test_an_unknown_login_takes_as_much_reckoning_as_a_wrong_password(self) -> None:
        passwords = Passwords()
        kept = passwords.hash(PASSWORD)

        def took(secret_of: str | None) -> float:
            began = thread_time()
            assert not passwords.fits("wrong", secret_of)
            return thread_time() - began

        pairs = [(took(kept), took(None)) for _ in range(9)]
        known, unknown = (statistics.median(one) for one in zip(*pairs, strict=True))
        assert 0.6 < unknown / known < 1.6

    def test_idle_sessions_end_and_used_ones_go_on_until_they_are_old(self, page: Browser, time: Time) -> None:
        account(page.station, "wang", (Role.OFFICER, STATION))
        page.sign_in("wang")
        for _ in range(24):  # twelve hours, in steps shorter than the idle limit
            page.get("/api/v1/session")
            time.ms += 29 * MINUTE
        time.ms += 25 * MINUTE
        page.get("/api/v1/session", status=401)
        page.sign_in("wang")
        time.ms += 30 * MINUTE
        page.get("/api/v1/session", status=401)

    @pytest.mark.proves("A2")
    def test_a_household_stays_signed_in_and_whoever_is_more_than_that_does_not(
        self, page: Browser, time: Time
    ) -> None:
        account(page.station, "zhou", (Role.HOUSEHOLD, "h01"), (Role.GROUP_LEADER, "gr1"))
        account(page.station, "feng", (Role.HOUSEHOLD, "h02"), (Role.GRID_WORKER, GRID))
        phone, both = page, another(page)
        kept = phone.ask("POST", "/api/v1/session", json={"login": "zhou", "password": PASSWORD})
        assert "Max-Age" in kept.headers["set-cookie"]
        phone.csrf = kept.json()["csrf"]
        shut = both.ask("POST", "/api/v1/session", json={"login": "feng", "password": PASSWORD})
        assert "Max-Age" not in shut.headers["set-cookie"]
        time.ms += 31 * MINUTE
        phone.get("/api/v1/session")
        both.get("/api/v1/session", status=401)
        sweep = page.station.accounts.sweep
        for _ in range(3):  # more than the limit in all, in steps that are shorter
            time.ms += 100 * 24 * 60 * MINUTE
            phone.get("/api/v1/session")
            with page.station.database.write() as session:
                sweep(session, time.ms)
        time.ms += 180 * 24 * 60 * MINUTE
        phone.get("/api/v1/session", status=401)
        with page.station.database.write() as session:
            assert sweep(session, time.ms) == 1

    def test_the_sweep_ends_what_reached_its_limit(self, page: Browser, time: Time) -> None:
        account(page.station, "wang", (Role.OFFICER, STATION))
        page.sign_in("wang")
        with page.station.database.write() as session:
            assert page.station.accounts.sweep(session, time.ms) == 0
            assert page.station.accounts.sweep(session, time.ms + 30 * MINUTE) == 1

    def test_a_new_password_ends_every_other_session(self, page: Browser) -> None:
        account(page.station, "wang", (Role.OFFICER, STATION))
        elsewhere = another(page)
        elsewhere.sign_in("wang")
        page.sign_in("wang")
        before = page.cookie
        page.post("/api/v1/account/password", {"password": PASSWORD, "new_password": "another long one"})
        assert page.cookie != before
        page.get("/api/v1/session")
        elsewhere.get("/api/v1/session", status=401)
        elsewhere.sign_in("wang", status=401)
        elsewhere.sign_in("wang", "another long one")

    def test_a_weak_password_is_refused(self, page: Browser) -> None:
        account(page.station, "wang", (Role.OFFICER, STATION))
        page.sign_in("wang")
        page.post("/api/v1/account/password", {"password": PASSWORD, "new_password": "short"}, status=422)
        weak = page.post("/api/v1/account/password", {"password": PASSWORD, "new_password": "a" * 12}, status=422)
        assert weak["type"] == "weak_secret"

    def test_a_right_that_was_taken_is_gone_with_the_next_request(self, page: Browser) -> None:
        account(page.station, "wang", (Role.OFFICER, STATION))
        admin = administrator(page)
        page.sign_in("wang")
        page.get("/api/v1/alarms")
        wang = page.get("/api/v1/session")["account"]
        number = admin.get(f"/api/v1/accounts/{wang}")["grants"][0]["number"]
        admin.post(f"/api/v1/grants/{number}/end", {"reason": "调离"})
        page.get("/api/v1/alarms", status=403)
        admin.post(f"/api/v1/accounts/{wang}/close", {"reason": "调离"})
        page.get("/api/v1/session", status=401)

    def test_looking_up_who_asks_takes_two_statements_and_remembers_nothing(self, page: Browser) -> None:
        """It is done for every request, so that what was revoked is revoked; docs/accounts.md has the time."""
        account(page.station, "wang", (Role.OFFICER, STATION))
        page.sign_in("wang")
        given = Presented(cookie=page.cookie)
        asked: list[str] = []
        engine = page.station.database._readers
        here = get_ident()  # what else is at work in the station asks for itself

        def heard(*call: Any) -> None:
            if get_ident() == here:
                asked.append(call[2])

        event.listen(engine, "before_cursor_execute", heard)
        for times in (1, 2):
            with page.station.database.read() as session:
                assert page.station.accounts.who(session, given) is not None
            assert len(asked) <= 2 * times, asked


@pytest.mark.proves("G5")
class TestCrossSite:
    @pytest.mark.parametrize(
        "headers",
        [
            {"X-CSRF-Token": ""},
            {"X-CSRF-Token": "0" * 64},
            {"X-CSRF-Token": "密"},
            {"Origin": "http://evil.example"},
            {"Origin": "null"},
            {"Origin": ""},
        ],
    )
    def test_an_unsafe_request_that_is_not_of_our_page_is_refused(self, page: Browser, headers: dict[str, str]) -> None:
        account(page.station, "wang", (Role.OFFICER, STATION))
        page.sign_in("wang")
        body = {"password": PASSWORD, "pin": "204917"}
        raw = {name: value.encode() for name, value in headers.items()}
        refused = page.ask("PUT", "/api/v1/account/pin", status=403, json=body, headers=raw)
        assert refused.json()["type"] == "cross_site"
        page.put("/api/v1/account/pin", body, status=204)

    def test_the_token_of_one_session_is_not_good_for_another(self, page: Browser) -> None:
        account(page.station, "wang", (Role.OFFICER, STATION))
        page.sign_in("wang")
        old = page.csrf
        page.sign_in("wang")
        page.ask("DELETE", "/api/v1/session", status=403, headers={"X-CSRF-Token": old})

    def test_nobody_is_signed_in_from_another_page(self, page: Browser) -> None:
        account(page.station, "wang", (Role.OFFICER, STATION))
        body = {"login": "wang", "password": PASSWORD}
        page.ask("POST", "/api/v1/session", status=403, json=body, headers={"Origin": "http://evil.example"})

    def test_a_machine_with_a_token_needs_none_of_it(self, station: Served) -> None:
        headers = machine(station.station, "box", (Role.OFFICER, STATION))
        assert (
            station.client.put(
                "/api/v1/account/pin", json={"password": "x", "pin": "204917"}, headers=headers
            ).status_code
            == 401
        )


@pytest.mark.proves("G5")
class TestThrottling:
    def wrong(self, page: Browser, times: int) -> int:
        statuses = [
            page.ask("POST", "/api/v1/session", json={"login": "wang", "password": "wrong"}).status_code
            for _ in range(times)
        ]
        return statuses.count(429)

    @pytest.mark.proves("F62")
    def test_wrong_passwords_are_slowed_down_and_never_locked_out(self, page: Browser, time: Time) -> None:
        account(page.station, "wang", (Role.OFFICER, STATION))
        assert self.wrong(page, 12) == 7
        page.sign_in("wang", status=429)
        time.ms += rules.ACCOUNT_WAIT_MS
        page.sign_in("wang")

    def test_the_answer_says_how_long_to_wait(self, page: Browser) -> None:
        account(page.station, "wang", (Role.OFFICER, STATION))
        self.wrong(page, 5)
        refused = page.ask("POST", "/api/v1/session", json={"login": "wang", "password": PASSWORD})
        assert (refused.status_code, refused.headers["retry-after"], refused.json()["wait_s"]) == (429, "1", 1)

    @pytest.mark.proves("F62")
    def test_whoever_is_attacked_from_afar_signs_in_at_his_desk(self, page: Browser, time: Time) -> None:
        account(page.station, "wang", (Role.DUTY_OFFICER, STATION), pin="204917")
        desk = paired(page)
        attacker = another(page)
        for _ in range(40):
            self.wrong(attacker, 1)
            time.ms += 1_000
        attacker.sign_in("wang", status=429)
        desk.pin("wang", "204917")
        desk.sign_in("wang")

    def test_a_desk_waits_some_seconds_at_most(self, page: Browser, time: Time) -> None:
        account(page.station, "wang", (Role.DUTY_OFFICER, STATION), pin="204917")
        account(page.station, "zhou", (Role.DUTY_OFFICER, STATION), pin="718293")
        desk = paired(page)
        for _ in range(60):
            desk.ask("POST", "/api/v1/session/pin", json={"login": "wang", "pin": "000000"})
            time.ms += 10_000
        for _ in range(3):
            desk.ask("POST", "/api/v1/session/pin", json={"login": "wang", "pin": "000000"})
        desk.pin("zhou", "718293")  # another officer does not wait at all
        time.ms += rules.DESK_WAIT_MS
        desk.pin("wang", "204917")


def administrator(page: Browser) -> Browser:
    """A browser of its own, with an administrator signed in."""
    account(page.station, "root", (Role.ADMINISTRATOR, ""))
    mine = another(page)
    mine.sign_in("root", code=code(page.station))
    return mine


def paired(page: Browser) -> Browser:
    """A workstation that was paired with the station's area, nobody signed in."""
    desk = administrator(page)
    desk.post("/api/v1/desks", {"name": "值班台", "area": STATION}, status=201)
    desk.ask("DELETE", "/api/v1/session", status=204)
    return desk


@pytest.mark.proves("G5")
class TestSecondFactor:
    def test_an_administrator_without_one_can_only_set_it_up(self, page: Browser, time: Time) -> None:
        account(page.station, "root", (Role.ADMINISTRATOR, ""))
        with page.station.database.write() as session:
            repository.change(session, repository.ACCOUNT, {"login": "root"}, totp=None)
        assert page.sign_in("root")["must"] == ["set_up_second_factor"]
        assert page.get("/api/v1/accounts", status=403)["must"] == ["set_up_second_factor"]
        before = page.cookie
        secret = page.post("/api/v1/account/totp", {"password": PASSWORD})["secret"]
        shown = pyotp.TOTP(secret).generate_otp(time.ms // 30_000)
        done = page.post("/api/v1/account/totp/confirm", {"code": shown})
        assert (done["session"]["must"], len(set(done["recovery_codes"]))) == ([], 10)
        assert page.cookie != before
        page.get("/api/v1/accounts")

    def test_a_code_is_needed_and_is_good_once(self, page: Browser, time: Time) -> None:
        account(page.station, "root", (Role.ADMINISTRATOR, ""))
        assert page.sign_in("root", status=401)["type"] == "code_needed"
        assert page.sign_in("root", code="000000", status=401)["type"] == "wrong_secret"
        now = code(page.station)
        page.sign_in("root", code=now)
        another(page).sign_in("root", code=now, status=401)
        time.ms += 30_000
        another(page).sign_in("root", code=code(page.station))

    def test_an_older_code_is_refused_after_a_newer_one(self, page: Browser) -> None:
        account(page.station, "root", (Role.ADMINISTRATOR, ""))
        page.sign_in("root", code=code(page.station, steps=1))
        another(page).sign_in("root", code=code(page.station), status=401)

    def test_a_recovery_code_stands_for_it_once(self, page: Browser, time: Time) -> None:
        admin = administrator(page)
        secret = admin.post("/api/v1/account/totp", {"password": PASSWORD})["secret"]
        shown = pyotp.TOTP(secret).generate_otp(time.ms // 30_000)
        codes = admin.post("/api/v1/account/totp/confirm", {"code": shown})["recovery_codes"]
        page.sign_in("root", code=codes[3].lower())
        page.get("/api/v1/accounts")
        page.sign_in("root", code=codes[3], status=401)
        assert page.station.accounts is not None
        assert another(page).sign_in("root", code=codes[4])["must"] == []

    def test_a_pin_gives_no_rights_of_administration(self, page: Browser) -> None:
        account(page.station, "root2", (Role.ADMINISTRATOR, ""), (Role.DUTY_OFFICER, STATION), pin="204917")
        desk = paired(page)
        assert desk.pin("root2", "204917")["must"] == ["sign_in_with_second_factor"]
        desk.get("/api/v1/accounts", status=403)
        desk.get("/api/v1/alarms")


@pytest.mark.proves("G5")
class TestDesk:
    def test_a_desk_on_duty_goes_on_showing_when_the_session_ended_and_asks_who_acts(
        self, page: Browser, time: Time
    ) -> None:
        account(page.station, "wang", (Role.DUTY_OFFICER, STATION), pin="204917")
        desk = paired(page)
        desk.get("/api/v1/alarms", status=401)  # paired, and not on duty
        desk.pin("wang", "204917")
        assert desk.put("/api/v1/session/duty", {"on_duty": True})["on_duty"]
        time.ms += 72 * 60 * MINUTE
        shown = desk.get("/api/v1/session")
        assert (shown["via"], shown["name"]) == ("desk", "值班台")
        desk.get("/api/v1/alarms")
        asked = desk.post(f"/api/v1/alarms/{SOME_ID}/acknowledge", status=401)
        assert asked["type"] == "ask_again"
        desk.pin("wang", "204917")
        desk.post(f"/api/v1/alarms/{SOME_ID}/acknowledge", status=404)

    def test_polling_does_not_keep_an_officers_session_on_a_shared_desk(self, page: Browser, time: Time) -> None:
        account(page.station, "wang", (Role.DUTY_OFFICER, STATION), pin="204917")
        desk = paired(page)
        desk.pin("wang", "204917")
        desk.put("/api/v1/session/duty", {"on_duty": True})
        for _ in range(11):
            desk.get("/api/v1/alarms")
            time.ms += MINUTE
        assert desk.get("/api/v1/session")["via"] == "desk"

    def test_a_quick_change_ends_the_session_of_whoever_was_there(self, page: Browser) -> None:
        account(page.station, "wang", (Role.DUTY_OFFICER, STATION), pin="204917")
        zhou = account(page.station, "zhou", (Role.DUTY_OFFICER, STATION), pin="718293")
        desk = paired(page)
        desk.pin("wang", "204917")
        first = desk.cookie
        desk.pin("zhou", "718293")
        assert desk.get("/api/v1/session")["account"] == zhou
        thief = another(page)
        thief.client.cookies.set("shouwang_session", str(first))
        thief.get("/api/v1/session", status=401)

    def test_a_session_of_a_desk_is_good_for_nothing_elsewhere(self, page: Browser) -> None:
        account(page.station, "wang", (Role.DUTY_OFFICER, STATION), pin="204917")
        desk = paired(page)
        desk.pin("wang", "204917")
        thief = another(page)
        thief.client.cookies.set("shouwang_session", str(desk.cookie))
        thief.get("/api/v1/session", status=401)
        desk.get("/api/v1/alarms")

    def test_a_pin_is_good_for_nothing_elsewhere(self, page: Browser) -> None:
        account(page.station, "wang", (Role.DUTY_OFFICER, STATION), pin="204917")
        page.pin("wang", "204917", status=401)

    def test_off_duty_or_unpaired_it_shows_nothing(self, page: Browser, time: Time) -> None:
        account(page.station, "wang", (Role.DUTY_OFFICER, STATION), pin="204917")
        desk = paired(page)
        desk.pin("wang", "204917")
        desk.put("/api/v1/session/duty", {"on_duty": True})
        desk.put("/api/v1/session/duty", {"on_duty": False})
        time.ms += 11 * MINUTE
        desk.get("/api/v1/alarms", status=401)
        desk.pin("wang", "204917")
        desk.put("/api/v1/session/duty", {"on_duty": True})
        root = another(page)
        root.sign_in("root", code=code(page.station))
        (mine,) = root.get("/api/v1/desks")["items"]
        root.post(f"/api/v1/desks/{mine['id']}/unpair", {"reason": "换电脑"}, status=204)
        desk.get("/api/v1/alarms", status=401)
        desk.pin("wang", "204917", status=401)

    def test_a_weak_pin_is_refused(self, page: Browser) -> None:
        account(page.station, "wang", (Role.DUTY_OFFICER, STATION))
        page.sign_in("wang")
        assert (
            page.put("/api/v1/account/pin", {"password": PASSWORD, "pin": "123456"}, status=422)["type"]
            == "weak_secret"
        )
        page.put("/api/v1/account/pin", {"password": "wrong", "pin": "204917"}, status=401)


SOME_ID = "01a20124-9d1e-7dd3-acdc-c9a14d326c69"


@pytest.mark.proves("G5")
class TestBeginning:
    def test_the_first_administrator_has_a_one_time_secret_in_a_file_of_its_own(
        self, page: Browser, settings: StationSettings
    ) -> None:
        path = secret_path(settings)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        secret = path.read_text(encoding="utf-8").split("one-time password: ")[1].strip()
        assert page.sign_in("admin", secret)["must"] == ["change_password"]
        assert page.get("/api/v1/accounts", status=403)["must"] == ["change_password"]
        after = page.post("/api/v1/account/password", {"password": secret, "new_password": "my own long one"})
        assert after["must"] == ["set_up_second_factor"]
        assert not path.exists()
        another(page).sign_in("admin", secret, status=401)

    def test_a_later_start_makes_no_second_one(self, serve: Serve, settings: StationSettings) -> None:
        path = secret_path(settings)
        with serve(wait=False):
            first = path.read_text(encoding="utf-8")
        with serve(wait=False) as again:
            assert path.read_text(encoding="utf-8") == first
            assert len(again.station.register.areas_of(None)) == 1

    def test_officers_of_the_settings_are_seeded_once(self, serve: Serve) -> None:
        with serve(wait=False) as one:
            assert one.get("/api/v1/session")["account"] == "li"
            page = browser(one.station, one.client.app)
            admin = administrator(page)
            li = admin.get("/api/v1/accounts/li")
            assert [grant["role"] for grant in li["grants"]] == ["officer"]
            admin.post(f"/api/v1/grants/{li['grants'][0]['number']}/end", {"reason": "停职"})
        with serve(wait=False) as two:  # what was taken away is not planted again
            assert two.get("/api/v1/alarms", status=403)["type"] == "may_not"

    def test_no_log_holds_the_secret(
        self, settings: StationSettings, serve: Serve, capfd: pytest.CaptureFixture[str]
    ) -> None:
        with serve(wait=False):
            secret = secret_path(settings).read_text(encoding="utf-8").split(": ")[-1].strip()
        said = capfd.readouterr()
        assert secret not in said.out + said.err


@pytest.mark.proves("G5")
class TestTokens:
    def test_a_machine_has_a_token_that_is_told_once_and_ends(self, page: Browser, time: Time) -> None:
        admin = administrator(page)
        opened = admin.post("/api/v1/accounts", {"kind": "machine", "name": "指挥中心接口"}, status=201)["account"]
        admin.post(f"/api/v1/accounts/{opened['id']}/grants", {"role": "officer", "scope": STATION}, status=201)
        made = admin.post(f"/api/v1/accounts/{opened['id']}/tokens", {"label": "接口", "days": 2}, status=201)
        headers = {"Authorization": f"Bearer {made['token']}"}
        assert page.client.get("/api/v1/alarms", headers=headers).status_code == 200
        (listed,) = admin.get(f"/api/v1/accounts/{opened['id']}/tokens")["items"]
        assert listed["used"] is not None
        assert made["token"] not in str(listed)
        time.ms += 2 * 24 * 60 * MINUTE
        assert page.client.get("/api/v1/alarms", headers=headers).status_code == 401

    def test_a_revoked_token_is_good_for_nothing(self, page: Browser) -> None:
        admin = administrator(page)
        opened = admin.post("/api/v1/accounts", {"kind": "machine", "name": "接口"}, status=201)["account"]["id"]
        admin.post(f"/api/v1/accounts/{opened}/grants", {"role": "officer", "scope": STATION}, status=201)
        made = admin.post(f"/api/v1/accounts/{opened}/tokens", {"label": "接口"}, status=201)
        headers = {"Authorization": f"Bearer {made['token']}"}
        admin.post(f"/api/v1/accounts/{opened}/tokens/{made['id']}/revoke", status=204)
        assert page.client.get("/api/v1/alarms", headers=headers).status_code == 401

    def test_people_get_none(self, page: Browser) -> None:
        admin = administrator(page)
        wang = account(page.station, "wang", (Role.OFFICER, STATION))
        admin.post(f"/api/v1/accounts/{wang}/tokens", {"label": "x"}, status=409)


@pytest.mark.proves("G5")
class TestGranting:
    def test_a_grant_holds_from_a_day_to_a_day(self, page: Browser, time: Time) -> None:
        admin = administrator(page)
        wang = account(page.station, "wang")
        iso = ("2027-01-15T09:00:00Z", "2027-01-16T09:00:00Z")
        time.ms = 1_800_000_000_000  # 2027-01-15T08:00:00Z
        grant = {"role": "officer", "scope": STATION, "from": iso[0], "to": iso[1]}
        admin.post(f"/api/v1/accounts/{wang}/grants", grant, status=201)
        for hours, status in ((0, 403), (1, 200), (24, 200), (25, 403)):
            time.ms = 1_800_000_000_000 + hours * 3_600_000
            page.sign_in("wang")
            page.get("/api/v1/alarms", status=status)

    @pytest.mark.parametrize("when", [{"from": "0001-01-01T00:00:00+14:00"}, {"to": "9999-12-31T23:59:59-14:00"}])
    def test_a_grant_at_the_ends_of_the_calendar_is_refused(self, page: Browser, when: dict[str, str]) -> None:
        admin = administrator(page)
        wang = account(page.station, "wang")
        admin.post(f"/api/v1/accounts/{wang}/grants", {"role": "officer", "scope": STATION} | when, status=422)

    @pytest.mark.parametrize(
        ("role", "scope"), [("officer", "nowhere"), ("household", "h99"), ("guard", "nobody"), ("auditor", "x")]
    )
    def test_a_scope_that_the_register_does_not_have_is_refused(self, page: Browser, role: str, scope: str) -> None:
        admin = administrator(page)
        wang = account(page.station, "wang")
        refused = admin.post(f"/api/v1/accounts/{wang}/grants", {"role": role, "scope": scope}, status=422)
        assert refused["type"] == "no_such_scope"

    def test_a_duty_leader_gives_what_is_below_him_and_within_his_area(self, page: Browser) -> None:
        account(page.station, "chen", (Role.DUTY_LEADER, GRID))
        wang = account(page.station, "wang")
        page.sign_in("chen")
        page.post(f"/api/v1/accounts/{wang}/grants", {"role": "grid_worker", "scope": GRID}, status=201)
        page.post(f"/api/v1/accounts/{wang}/grants", {"role": "grid_worker", "scope": STATION}, status=403)
        page.post(f"/api/v1/accounts/{wang}/grants", {"role": "duty_leader", "scope": GRID}, status=403)
        page.post(f"/api/v1/accounts/{wang}/grants", {"role": "administrator"}, status=403)

    def test_a_duty_leader_sees_the_accounts_of_his_area_and_manages_none(self, page: Browser) -> None:
        account(page.station, "chen", (Role.DUTY_LEADER, GRID))
        worker, other = account(page.station, "wang", (Role.GRID_WORKER, GRID)), account(page.station, "far")
        page.sign_in("chen")
        assert {one["login"] for one in page.get("/api/v1/accounts")["items"]} == {"chen", "wang"}
        assert page.get(f"/api/v1/accounts/{worker}")["grants"][0]["scope"] == GRID
        page.get(f"/api/v1/accounts/{other}", status=404)
        page.post(f"/api/v1/accounts/{worker}/close", {"reason": "x"}, status=403)

    def test_a_deputy_gets_what_the_other_has(self, page: Browser) -> None:
        admin = administrator(page)
        zhou = account(page.station, "zhou", (Role.GRID_WORKER, GRID))
        wang = account(page.station, "wang")
        given = {"role": "grid_worker", "scope": GRID, "deputy_of": zhou}
        assert admin.post(f"/api/v1/accounts/{wang}/grants", given, status=201)["deputy_of"] == zhou
        admin.post(f"/api/v1/accounts/{wang}/grants", given | {"role": "officer"}, status=409)
        admin.post(f"/api/v1/accounts/{zhou}/grants", given, status=409)

    def test_one_administrator_stays(self, page: Browser) -> None:
        admin = administrator(page)
        everybody = admin.get("/api/v1/accounts")["items"]
        for one in everybody:
            for grant in one["grants"]:
                if grant["role"] == "administrator" and one["login"] != "root":
                    admin.post(f"/api/v1/grants/{grant['number']}/end", {"reason": "x"})
        (mine,) = (grant["number"] for one in everybody if one["login"] == "root" for grant in one["grants"])
        admin.post(f"/api/v1/grants/{mine}/end", {"reason": "x"}, status=409)

    def test_two_who_change_one_account_do_not_overwrite_each_other(self, page: Browser) -> None:
        admin = administrator(page)
        wang = account(page.station, "wang")
        tag = admin.ask("GET", f"/api/v1/accounts/{wang}").headers["etag"]
        assert (
            admin.ask("PATCH", f"/api/v1/accounts/{wang}", json={"name": "王"}, headers={"If-Match": tag}).status_code
            == 200
        )
        assert (
            admin.ask("PATCH", f"/api/v1/accounts/{wang}", json={"name": "汪"}, headers={"If-Match": tag}).status_code
            == 412
        )

    def test_everything_that_was_done_is_in_the_chain(self, page: Browser) -> None:
        admin = administrator(page)
        wang = admin.post("/api/v1/accounts", {"name": "王", "login": "wang"}, status=201)["account"]["id"]
        number = admin.post(f"/api/v1/accounts/{wang}/grants", {"role": "officer", "scope": STATION}, status=201)[
            "number"
        ]
        admin.post(f"/api/v1/grants/{number}/end", {"reason": "x"})
        admin.post(f"/api/v1/accounts/{wang}/reset", {})
        admin.post(f"/api/v1/accounts/{wang}/close", {"reason": "x"})
        for action in ("session.begin", "account.open", "grant.give", "grant.take", "account.reset", "account.close"):
            assert audited(page, action) >= 1, action


@pytest.mark.proves("G5")
class TestJoining:
    def invited(self, page: Browser) -> tuple[Browser, str]:
        account(page.station, "grid", (Role.GRID_WORKER, GRID))
        worker = another(page)
        worker.sign_in("grid")
        return worker, worker.post(f"/api/v1/places/{HOUSEHOLDS[0]}/joining", status=201)["code"]

    def join(self, page: Browser, given: str, *, status: int = 201, login: str = "laowang") -> None:
        page.post("/api/v1/join", {"code": given, "name": "老王", "login": login, "password": PASSWORD}, status=status)

    def test_a_household_joins_by_a_code_and_waits_for_the_grid_worker(self, page: Browser) -> None:
        worker, given = self.invited(page)
        self.join(page, given.lower().replace("-", " - "))
        page.sign_in("laowang", status=401)
        (waiting,) = worker.get("/api/v1/joinings")["items"]
        worker.post(f"/api/v1/joinings/{waiting['id']}/settle", {"confirmed": True}, status=204)
        assert page.sign_in("laowang")["grants"] == [{"role": "household", "scope": HOUSEHOLDS[0], "to": None}]
        worker.post(f"/api/v1/joinings/{waiting['id']}/settle", {"confirmed": True}, status=409)

    def test_a_code_is_good_once(self, page: Browser) -> None:
        _, given = self.invited(page)
        self.join(page, given)
        self.join(page, given, status=422, login="thief")

    def test_a_code_is_good_for_a_day(self, page: Browser, time: Time) -> None:
        _, given = self.invited(page)
        time.ms += 24 * 60 * MINUTE
        self.join(page, given, status=422)

    def test_guessing_voids_the_code(self, page: Browser) -> None:
        _, given = self.invited(page)
        for _ in range(rules.JOINING_TRIES):
            self.join(page, f"{given[:-1]}{'A' if given[-1] != 'A' else 'B'}", status=422)
        self.join(page, given, status=422)

    def test_who_is_refused_never_comes_in(self, page: Browser) -> None:
        worker, given = self.invited(page)
        self.join(page, given)
        (waiting,) = worker.get("/api/v1/joinings")["items"]
        worker.post(f"/api/v1/joinings/{waiting['id']}/settle", {"confirmed": False, "reason": "不认识"}, status=204)
        page.sign_in("laowang", status=401)

    def test_the_code_is_kept_as_a_digest(self, page: Browser, settings: StationSettings) -> None:
        _, given = self.invited(page)
        secret = given.rpartition("-")[2].encode()
        folder = Path(settings.database.removeprefix("sqlite:///")).parent
        assert not any(secret in path.read_bytes() for path in folder.glob("station.db*"))

    def test_nobody_invites_or_confirms_elsewhere(self, page: Browser) -> None:
        _, given = self.invited(page)
        self.join(page, given)
        account(page.station, "leader", (Role.GROUP_LEADER, "gr-elsewhere"))
        page.sign_in("leader")
        page.post(f"/api/v1/places/{HOUSEHOLDS[0]}/joining", status=404)
        assert page.get("/api/v1/joinings")["items"] == []


def test_tokens_of_the_settings_still_work(station: Served) -> None:
    assert station.get("/api/v1/session")["account"] == "li"
    assert token_hash(TOKENS["li"]) == proofs.digest(TOKENS["li"])
    assert len(SECRET) == 32
