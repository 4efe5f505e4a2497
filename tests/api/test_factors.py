"""Secrets of second factors: no row holds one that could be read, whatever key the station has had."""

from pathlib import Path

import pyotp
import pytest

from api.accounts import repository
from api.accounts.factors import PURPOSE, Factors
from api.database import Database
from api.rights.rules import Role
from api.sealing import Sealer
from api.settings import SettingsError, SigningKey, StationSettings
from tests.api.conftest import Serve, Served
from tests.api.people import add_account
from tests.api.signing_in import PASSWORD, SECRET, account, browser, code

OLD, NEW = b"o" * 32, b"n" * 32

pytestmark = pytest.mark.proves("G5")


def kept(served: Served) -> list[str]:
    found = served.rows("SELECT totp, totp_waiting FROM account")
    return [str(one) for row in found for one in row if one is not None]


def test_neither_the_secret_in_use_nor_the_one_that_is_offered_can_be_read_in_the_table(serve: Serve) -> None:
    with serve(wait=False) as served:
        account(served.station, "root", (Role.ADMINISTRATOR, ""))
        page = browser(served.station, served.client.app)
        page.sign_in("root", code=code(served.station))
        offered = page.post("/api/v1/account/totp", {"password": PASSWORD})["secret"]
        assert [offered in one for one in kept(served)] == [False, False]
        shown = pyotp.TOTP(offered).generate_otp(served.station.clock() // 30_000)
        page.post("/api/v1/account/totp/confirm", {"code": shown})
        (sealed,) = kept(served)
        assert sealed.startswith("sealed:")
        assert offered not in sealed


def test_a_secret_of_an_earlier_version_is_good_and_is_sealed_when_the_station_starts(serve: Serve) -> None:
    with serve(wait=False) as served:
        account(served.station, "root", (Role.ADMINISTRATOR, ""))
        assert kept(served) == [SECRET]
        browser(served.station, served.client.app).sign_in("root", code=code(served.station))
    with serve(wait=False) as served:
        (sealed,) = kept(served)
        assert SECRET not in sealed
        page = browser(served.station, served.client.app)
        assert page.sign_in("root", code=code(served.station, steps=1))["must"] == []


def test_after_a_change_of_the_stations_key_everything_is_sealed_anew(database: Database) -> None:
    before, after = Factors(Sealer(OLD, PURPOSE)), Factors(Sealer(NEW, PURPOSE))
    turning = Factors(Sealer(NEW, PURPOSE, former=[OLD]))
    with database.write() as session:
        for id_ in ("a", "b", "c"):
            add_account(session, id_)
        repository.change_account(session, "a", totp=before.seal("a", SECRET), totp_waiting="JBSWY3DPEHPK3PXP")
        repository.change_account(session, "b", totp=after.seal("b", SECRET))
        assert turning.seal_all(session) == 1
        assert turning.seal_all(session) == 0
        row = repository.one(session, repository.ACCOUNT, id="a")
        assert row is not None
        assert (after.open("a", row.totp), after.open("a", row.totp_waiting)) == (SECRET, "JBSWY3DPEHPK3PXP")
        assert before.open("a", row.totp) is None
        assert after.open("b", row.totp) is None, "it cannot be moved to another account"


def test_what_a_lost_key_sealed_is_nobodys_and_stays_as_it_is(database: Database) -> None:
    sealed = Factors(Sealer(OLD, PURPOSE)).seal("a", SECRET)
    with database.write() as session:
        add_account(session, "a")
        repository.change_account(session, "a", totp=sealed)
        assert Factors(Sealer(NEW, PURPOSE)).seal_all(session) == 0
        row = repository.one(session, repository.ACCOUNT, id="a")
        assert row is not None
        assert row.totp == sealed


def test_a_former_key_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(NEW)
    signing = SigningKey(path=tmp_path / "key", former=(tmp_path / "gone",))
    with pytest.raises(SettingsError, match="gone"):
        signing.former_seeds()


def test_the_stations_former_key_comes_from_its_settings(settings: StationSettings, tmp_path: Path) -> None:
    (tmp_path / "former").write_text(OLD.hex())
    signing = settings.signing.model_copy(update={"former": (tmp_path / "former",)})
    sealed = Sealer(OLD, PURPOSE).seal("x", about="a")
    assert Sealer.of(signing, PURPOSE).open(sealed, about="a") == "x"
    assert Sealer.of(signing, PURPOSE).is_old(sealed, about="a")
