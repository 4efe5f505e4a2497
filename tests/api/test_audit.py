"""The station's own chain: who did what, written with its cause, erasable in its words, unchangeable unnoticed."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, func, select, text, update
from sqlmodel import Session
from typer.testing import CliRunner

from api.audit import repository, rules, service
from api.audit.repository import AUDIT, HEAD, WORDS
from api.audit.rules import BEGINNING, Bad, Entry, Head, Why, Words
from api.database import Database
from api.rights.rules import Role
from api.settings import StationSettings
from deploy.cli import app
from tests.api import signing_in
from tests.api.conftest import Served, as_json
from tests.api.peers import GRID, HOUSEHOLDS, STATION
from tests.api.signing_in import machine

SALT = "00" * rules.SALT_BYTES


def record(session: Session, number: int, **more: str) -> None:
    service.record(
        session,
        at_ms=number,
        by="li",
        action="alarm.acknowledge",
        about=f"alarm:{number}",
        detail={"n": number},
        **more,
    )


@pytest.fixture
def ten(database: Database) -> Database:
    """A chain of ten entries."""
    for number in range(1, 11):
        with database.write() as session:
            record(session, number, reason=f"第{number}条")
    return database


def verdict(database: Database, **told: str) -> service.Verdict:
    with database.read() as session:
        return service.verify(session, told={int(seq.strip("_")): digest for seq, digest in told.items()})


class TestRules:
    def test_the_digests_are_those_of_an_independent_reckoning(self) -> None:
        """Made with `openssl dgst` over the texts that the module's theory describes."""
        entry, words = rules.link(
            Head(), at_ms=1, account="li", action="a", about="place:h1", words='{"reason":"x"}', salt="00" * 16
        )
        assert entry.sealed == "7df7d607aa7b1f76f1607c86ee8070fd3bdd91cf8b1033fad3a7d7ec08564229"
        assert entry.digest == "c333e1ba095f67097a09e54cb27a20bf4d773151ef457156911df3986ff86dcd"
        assert words.words == '{"reason":"x"}'

    @given(
        st.lists(
            st.tuples(
                st.integers(0, 1 << 50), st.none() | st.text(max_size=5), st.text(max_size=5), st.text(max_size=9)
            ),
            min_size=1,
            max_size=8,
        ),
        st.data(),
    )
    @pytest.mark.proves("N15")
    def test_any_field_of_any_entry_that_is_changed_is_named(
        self, given_rows: list[tuple[int, str | None, str, str]], data: st.DataObject
    ) -> None:
        rows = chain(given_rows)
        head = Head(rows[-1][0].seq, rows[-1][0].digest)
        assert rules.check(rows, head=head) == (len(rows), 0, None)
        at = data.draw(st.integers(0, len(rows) - 1))
        name = data.draw(st.sampled_from(["at_ms", "account", "action", "about", "sealed", "digest"]))
        entry, words = rows[at]
        values = {field: getattr(entry, field) for field in Entry.__dataclass_fields__}
        values[name] = values[name] + 1 if name == "at_ms" else f"{values[name]}!"
        spoiled = [*rows[:at], (Entry(**values), words), *rows[at + 1 :]]
        assert rules.check(spoiled, head=head)[2] == Bad(at + 1, Why.CHANGED)


def chain(given_rows: list[tuple[int, str | None, str, str]]) -> list[tuple[Entry, Words | None]]:
    rows: list[tuple[Entry, Words | None]] = []
    head = Head()
    for at_ms, account, action, words in given_rows:
        entry, kept = rules.link(head, at_ms=at_ms, account=account, action=action, about="x:1", words=words, salt=SALT)
        rows.append((entry, kept))
        head = Head(entry.seq, entry.digest)
    return rows


@pytest.mark.proves("N15")
class TestVerification:
    def test_a_chain_that_nobody_touched_is_good(self, ten: Database) -> None:
        found = verdict(ten)
        assert (found.rows, found.erased, found.bad, found.head.seq) == (10, 0, None, 10)

    def test_an_empty_chain_is_good(self, database: Database) -> None:
        assert verdict(database).head == Head(0, BEGINNING)

    @pytest.mark.parametrize(
        ("sql", "bad"),
        [
            ("UPDATE audit SET account = 'zhao' WHERE seq = 4", Bad(4, Why.CHANGED)),
            ("UPDATE audit SET at_ms = at_ms + 1 WHERE seq >= 7", Bad(7, Why.CHANGED)),
            ("DELETE FROM audit_words WHERE seq = 5; DELETE FROM audit WHERE seq = 5", Bad(5, Why.MISSING)),
            ('UPDATE audit_words SET words = \'{"reason":"other"}\' WHERE seq = 3', Bad(3, Why.WORDS_CHANGED)),
            ("DELETE FROM audit_words WHERE seq > 8; DELETE FROM audit WHERE seq > 8", Bad(9, Why.CUT_OFF)),
            ("UPDATE audit_head SET seq = 9", Bad(10, Why.CUT_OFF)),
        ],
    )
    @pytest.mark.proves("F63")
    def test_the_first_row_that_is_not_as_it_was_written_is_named(self, ten: Database, sql: str, bad: Bad) -> None:
        with ten.write() as session:
            for one in sql.split("; "):
                session.connection().execute(text(one))
        assert verdict(ten).bad == bad

    def test_a_history_rewritten_whole_shows_by_a_head_that_somebody_else_was_told(self, ten: Database) -> None:
        with ten.read() as session:
            told = service.head(session)
            rows = [*repository.walk(session)]
        with ten.write() as session:  # an attacker who may do everything, and knows how the chain is made
            session.connection().execute(delete(WORDS))
            session.connection().execute(delete(AUDIT))
            session.connection().execute(update(HEAD).values(seq=0, digest=BEGINNING))
            for entry, _ in rows:
                service.record(session, at_ms=entry.at_ms, by="zhao", action=entry.action, about=entry.about)
        assert verdict(ten).bad is None
        assert verdict(ten, **{f"_{told.seq}": told.digest}).bad == Bad(10, Why.OTHER_HISTORY)

    def test_a_tail_cut_off_with_its_head_shows_by_a_head_that_somebody_else_was_told(self, ten: Database) -> None:
        with ten.write() as session:
            told = service.head(session)
            end = session.connection().execute(select(AUDIT.c.digest).where(AUDIT.c.seq == 6)).scalar_one()
            session.connection().execute(delete(WORDS).where(WORDS.c.seq > 6))
            session.connection().execute(delete(AUDIT).where(AUDIT.c.seq > 6))
            session.connection().execute(update(HEAD).values(seq=6, digest=end))
        assert verdict(ten).bad is None
        assert verdict(ten, **{f"_{told.seq}": told.digest}).bad == Bad(10, Why.CUT_OFF)

    @pytest.mark.proves("N16")
    def test_words_that_were_erased_leave_a_chain_that_still_verifies(self, ten: Database) -> None:
        with ten.write() as session:
            assert repository.erase_words(session, [2, 3, 99]) == 2
        found = verdict(ten)
        assert (found.rows, found.erased, found.bad) == (10, 2, None)

    def test_equal_words_have_different_seals(self, database: Database) -> None:
        with database.write() as session:
            record(session, 1)
            record(session, 1)
        with database.read() as session:
            one, two = (entry.sealed for entry, _ in repository.walk(session))
        assert one != two


class TestRecording:
    def test_what_rolls_back_is_not_recorded(self, database: Database) -> None:
        def record_and_break() -> None:
            with database.write() as session:
                record(session, 1)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            record_and_break()
        with database.write() as session:
            record(session, 2)
        assert verdict(database).rows == 1

    def test_what_a_savepoint_takes_back_is_not_recorded_and_the_rest_is(self, database: Database) -> None:
        with database.write() as session:
            record(session, 1)
            with session.begin_nested() as savepoint:
                record(session, 2)
                savepoint.rollback()
            with session.begin_nested():
                record(session, 3)
            record(session, 4)
        with database.read() as session:
            found = {entry.about for entry, _ in repository.walk(session)}
        assert found == {"alarm:1", "alarm:3", "alarm:4"}
        assert verdict(database).bad is None

    def test_everything_of_one_transaction_is_in_the_order_in_which_it_was_done(self, database: Database) -> None:
        with database.write() as session:
            for number in range(1, 2_201):
                record(session, number)
        with database.read() as session:
            assert [entry.at_ms for entry, _ in repository.walk(session)] == [*range(1, 2_201)]
        assert verdict(database).rows == 2_200

    def test_no_entry_holds_a_word(self, ten: Database) -> None:
        with ten.read() as session:
            entries = session.connection().execute(select(AUDIT)).all()
            assert session.connection().execute(select(func.count()).select_from(WORDS)).scalar_one() == 10
        assert "条" not in str(entries)


@pytest.mark.proves("N15")
class TestCommand:
    """`shouwang audit verify` on the file of a station."""

    def verify(self, settings: Path, *more: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, ["audit", "verify", "--settings", str(settings), *more])
        return done.exit_code, done.stdout

    @pytest.fixture
    def settings_file(self, settings: StationSettings, tmp_path: Path) -> Path:
        path = tmp_path / "settings.json"
        path.write_text(as_json(settings))
        return path

    def test_it_names_the_first_bad_row_while_the_station_runs(self, served: Served, settings_file: Path) -> None:
        code, said = self.verify(settings_file, "--json")
        verdict = json.loads(said)
        assert (code, verdict["ok"], verdict["bad"]) == (0, True, None)
        assert verdict["rows"] > 0
        head = f"{verdict['head']['seq']}:{verdict['head']['digest']}"
        assert self.verify(settings_file, "--told", head)[0] == 0
        with served.station.database.write() as session:
            session.connection().execute(update(AUDIT).where(AUDIT.c.seq == 2).values(action="nothing"))
        code, said = self.verify(settings_file, "--json")
        assert (code, json.loads(said)["bad"]) == (1, {"seq": 2, "why": "changed"})
        assert self.verify(settings_file)[1].startswith("row 2 is changed")

    def test_a_head_that_others_were_given_is_held_against_it(self, served: Served, settings_file: Path) -> None:
        assert served.station.settings.station
        code, said = self.verify(settings_file, "--json", "--told", f"1:{'f' * 64}")
        assert (code, json.loads(said)["bad"]) == (1, {"seq": 1, "why": "other_history"})

    def test_wrong_usage_and_a_missing_database_have_codes_of_their_own(
        self, settings: StationSettings, settings_file: Path, tmp_path: Path
    ) -> None:
        assert self.verify(settings_file, "--told", "nonsense")[0] == 2
        assert self.verify(tmp_path / "nowhere.json")[0] == 2
        values = json.loads(settings_file.read_text())
        settings_file.write_text(json.dumps(values | {"database": f"sqlite:///{tmp_path}/nothing.db"}))
        assert self.verify(settings_file)[0] == 4
        assert settings.station


@pytest.mark.proves("G5", "N4")
class TestReading:
    def test_the_whole_chain_is_for_those_who_may_know_of_every_alarm(self, served: Served) -> None:
        for role, scope, status in (
            (Role.DUTY_LEADER, STATION, 200),
            (Role.DUTY_LEADER, GRID, 403),
            (Role.AUDITOR, "", 403),
            (Role.ADMINISTRATOR, "", 403),
            (Role.OFFICER, STATION, 403),
        ):
            headers = machine(served.station, f"{role}-{scope}", (role, scope))
            assert served.client.get("/api/v1/audit", headers=headers).status_code == status
            assert served.client.get("/api/v1/audit/head", headers=headers).status_code == status

    def test_auditors_see_nothing_that_has_to_do_with_an_alarm(self, served: Served) -> None:
        with served.station.database.write() as session:
            service.record(session, at_ms=1, by="li", action="alarm.acknowledge", about="alarm:duress-1")
            service.record(session, at_ms=2, by="li", action="place.look_up", about="place:h01", reason="duress-1")
        headers = machine(served.station, "auditor", (Role.AUDITOR, ""))
        answer = served.client.get("/api/v1/audit/accounts", headers=headers, params={"limit": 200})
        assert "duress-1" not in answer.text
        assert "seq" not in answer.text
        [opened, *_] = [entry for entry in answer.json() if entry["action"] == "account.open"]
        assert opened["words"] == {"zh": "开立账号", "en": "opened an account"}

    def test_whoever_reads_an_entry_is_told_who_acted_by_name(self, served: Served) -> None:
        hua = signing_in.account(served.station, "hua", (Role.OFFICER, STATION))
        with served.station.database.write() as session:
            for at_ms, by in ((1, hua), (2, None), (3, "nobody-any-more")):
                service.record(session, at_ms=at_ms, by=by, action="desk.pair", about="account:desk1")
        for role, scope, path in (
            (Role.DUTY_LEADER, STATION, "/api/v1/audit?action=desk.pair"),
            (Role.AUDITOR, "", "/api/v1/audit/accounts?limit=200"),
        ):
            body = served.client.get(path, headers=machine(served.station, f"{role}", (role, scope))).json()
            rows = body["items"] if isinstance(body, dict) else body
            said = {entry["by"]: entry["by_name"] for entry in rows if entry["action"] == "desk.pair"}
            assert said == {hua: "hua的名字", None: None, "nobody-any-more": None}

    @pytest.mark.proves("G7")
    def test_an_auditor_reads_that_a_household_did_something_and_not_what_it_is_called(self, served: Served) -> None:
        home = signing_in.account(served.station, "lao-wang", (Role.HOUSEHOLD, HOUSEHOLDS[0]))
        both = signing_in.account(served.station, "hua", (Role.HOUSEHOLD, HOUSEHOLDS[1]), (Role.GRID_WORKER, GRID))
        with served.station.database.write() as session:
            for by in (home, both):
                service.record(session, at_ms=1, by=by, action="desk.pair", about="account:desk1")
        for role, scope, name in (
            (Role.AUDITOR, "", None),
            (Role.ADMINISTRATOR, "", "lao-wang的名字"),
            (Role.DUTY_LEADER, STATION, "lao-wang的名字"),
        ):
            headers = machine(served.station, f"{role}", (role, scope))
            rows = served.client.get("/api/v1/audit/accounts?limit=200", headers=headers).json()
            said = {entry["by"]: entry["by_name"] for entry in rows if entry["action"] == "desk.pair"}
            assert said == {home: name, both: "hua的名字"}
