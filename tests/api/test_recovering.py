"""`shouwang admin recover`: an administrator who lost everything, from the station's machine."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from api.accounts import repository
from api.accounts.office import secret_path
from api.rights.rules import Role
from api.settings import StationSettings
from deploy.cli import app
from tests.api.conftest import Serve, as_json
from tests.api.signing_in import account, browser

Recover = Callable[..., tuple[int, str, str]]
NEW = "a password of my own"

pytestmark = pytest.mark.proves("G5")


@pytest.fixture
def recover(settings: StationSettings, tmp_path: Path) -> Recover:
    path = tmp_path / "settings.json"
    path.write_text(as_json(settings))

    def run(*more: str) -> tuple[int, str, str]:
        done = CliRunner().invoke(app, ["admin", "recover", "--settings", str(path), *more])
        return done.exit_code, done.stdout, done.stderr

    return run


def test_the_only_administrator_gets_in_again_by_a_password_that_is_good_once(
    serve: Serve, recover: Recover, settings: StationSettings
) -> None:
    with serve(wait=False) as served:
        old = browser(served.station, served.client.app)
        one_time = secret_path(settings).read_text().strip().splitlines()[-1].split()[-1]
        with served.station.database.write() as session:
            repository.change(session, repository.ACCOUNT, {"login": "admin"}, totp="JBSWY3DPEHPK3PXP", one_time=False)
            repository.change(
                session, repository.ACCOUNT, {"login": "admin"}, password=served.station.accounts.passwords.hash(NEW)
            )
        assert old.sign_in("admin", NEW, status=401)["type"] == "code_needed"
    code, said, _ = recover("--json", "--reason", "telephone at the bottom of the river")
    assert code == 0
    told = json.loads(said)
    assert (told["login"], secret_path(settings).exists()) == ("admin", False)
    with serve(wait=False) as served:
        page = browser(served.station, served.client.app)
        page.sign_in("admin", NEW, status=401)
        page.sign_in("admin", one_time, status=401)
        assert page.sign_in("admin", told["secret"])["must"] == ["change_password"]
        page.post("/api/v1/account/password", {"password": told["secret"], "new_password": NEW})
        assert page.get("/api/v1/session")["must"] == ["set_up_second_factor"]
        found = served.rows("SELECT account, about FROM audit WHERE action = 'account.recover'")
        assert found == [(None, f"account:{told['account']}")]
        assert told["secret"] not in str(served.rows("SELECT words FROM audit_words"))


def test_nobody_is_let_in_where_another_administrator_could_do_it_unless_it_is_forced(
    serve: Serve, recover: Recover
) -> None:
    with serve(wait=False) as served:
        lost = account(served.station, "lost", (Role.ADMINISTRATOR, ""))
        account(served.station, "other", (Role.ADMINISTRATOR, ""))
        page = browser(served.station, served.client.app)
        with served.station.database.write() as session:
            repository.change(session, repository.ACCOUNT, {"login": "lost"}, totp=None)
        page.sign_in("lost")
    assert recover()[::2] == (
        2,
        "shouwang: there are several administrators: say --account, one of admin, lost, other\n",
    )
    assert recover("--account", "nobody")[0] == 2
    code, said, why = recover("--account", "lost")
    assert (code, said) == (1, "")
    assert "other can reset this account" in why
    assert recover("--account", "LOST", "--force")[0] == 0
    with serve(wait=False) as served:
        assert served.rows("SELECT ended_why FROM sign_in WHERE account = ?", lost) == [("credentials",)]


def test_who_was_administrator_is_so_again_when_nobody_is(serve: Serve, recover: Recover) -> None:
    with serve(wait=False) as served, served.station.database.write() as session:
        now = served.station.clock()
        repository.change(session, repository.GRANT, {"role": Role.ADMINISTRATOR.value}, to_ms=now)
    assert recover()[0] == 0
    with serve(wait=False) as served, served.station.database.read() as session:
        assert len(repository.holders(session, Role.ADMINISTRATOR, now_ms=served.station.clock())) == 1


def test_what_it_cannot_use_has_codes_of_its_own(
    serve: Serve, recover: Recover, settings: StationSettings, tmp_path: Path
) -> None:
    if settings.database.startswith("sqlite"):
        with serve(wait=False):
            code, _, why = recover()
            assert code == 3
            assert "end the station first" in why
        (tmp_path / "settings.json").write_text(
            json.dumps(json.loads(as_json(settings)) | {"database": f"sqlite:///{tmp_path}/nothing.db"})
        )
        assert recover()[0] == 4
        assert not (tmp_path / "nothing.db").exists()
    (tmp_path / "settings.json").write_text("{}")
    assert recover()[0] == 2
