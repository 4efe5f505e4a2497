"""Keys are made once, kept private, and never made again over those that are there."""

import os
import re
import shlex
import shutil
import stat
import subprocess
from collections.abc import Callable
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path
from random import Random

import pytest

from broker.signing import Signer
from deploy import keys
from deploy.check import check_text
from deploy.keys import KeyMissing, Keys, KeysDamaged, KeysError, KeysExposed, KeysUnreachable, Provisioned
from deploy.site import Site

VILLAGE = (Path(__file__).parents[2] / "examples" / "village.toml").read_text(encoding="utf-8")

GW2 = """
[[gateway]]
id = "gw2"

[[gateway.line]]
name = "line1"
port = "/dev/serial0"
"""
U10 = VILLAGE[VILLAGE.index('[[gateway.unit]]\nid = "u10"') : VILLAGE.index("# Patrol tags")]


def site_of(text: str) -> Site:
    site = check_text(text).site
    assert site is not None
    return site


SITE = site_of(VILLAGE)
LARGER = site_of(
    VILLAGE.replace(
        "[[group]]", '[[officer]]\nid = "second"\n\n[[household]]\nid = "h11"\ndoor = 9\nmqtt = true\n\n[[group]]'
    )
)
MOVED = site_of(VILLAGE.replace(U10, GW2 + U10).replace('id = "h10"', 'id = "h10"\nremote = true'))


def draw() -> keys.Draw:
    return Random(7).randbytes


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "site" / "keys"


@pytest.fixture
def made(folder: Path) -> Provisioned:
    return keys.provision(SITE, folder, draw=draw())


def contents(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_everything_that_the_village_needs_is_made(made: Provisioned, folder: Path) -> None:
    assert set(contents(folder)) == {
        "public",
        "accounts",
        "station/seed",
        "station/account",
        "station/officers",
        "gateways/gw1/seed",
        "gateways/gw1/account",
        "gateways/gw1/units",
    }
    assert set(made.keys.units) == {f"u{n:02}" for n in range(1, 11)}
    assert {len(key) for key in made.keys.units.values()} == {16}
    assert len(set(made.keys.units.values())) == 10
    assert set(made.keys.passwords) == {
        "north.station",
        "north.gateway.gw1",
        "north.police",
        "north.community.c1",
        "north.grid.w1",
        *(f"north.household.h{n:02}" for n in range(1, 11)),
    }
    assert len(set(made.keys.passwords.values())) == len(made.keys.passwords)
    assert all(len(password) == 24 for password in made.keys.passwords.values())


def test_public_keys_belong_to_the_signing_keys(made: Provisioned) -> None:
    assert set(made.keys.public) == set(made.keys.seeds) == {"station", "gateway:gw1"}
    for kid, seed in made.keys.seeds.items():
        assert made.keys.public[kid] == Signer(kid, seed).public
        assert made.keys.public_key(kid) == Signer(kid, seed).public.hex()


def test_an_officers_token_is_told_once_and_kept_nowhere(made: Provisioned, folder: Path) -> None:
    token = made.tokens["desk"]
    assert made.keys.officer("desk") == sha256(token.encode()).hexdigest()
    assert not any(token in text for text in contents(folder).values())
    assert keys.provision(SITE, folder, draw=draw()).tokens == {}


def test_making_keys_again_changes_nothing(made: Provisioned, folder: Path) -> None:
    before = contents(folder)
    again = keys.provision(SITE, folder, draw=Random(8).randbytes)
    assert again.added == ()
    assert again.keys == made.keys
    assert contents(folder) == before


def test_what_is_new_in_the_site_is_added_and_the_rest_stays(made: Provisioned, folder: Path) -> None:
    again = keys.provision(LARGER, folder, draw=Random(8).randbytes)
    assert again.added == ("password north.household.h11", "token second")
    assert set(again.tokens) == {"second"}
    assert again.keys.units == made.keys.units
    assert again.keys.seeds == made.keys.seeds
    assert again.keys.passwords.items() > made.keys.passwords.items()
    assert again.keys.officers.items() > made.keys.officers.items()


def test_a_unit_that_moves_to_another_gateway_keeps_its_key(made: Provisioned, folder: Path) -> None:
    again = keys.provision(MOVED, folder, draw=Random(8).randbytes)
    assert "unit key u10" in again.added
    assert again.keys.units == made.keys.units
    assert contents(folder)["gateways/gw2/units"] == f"u10 {made.keys.units[SITE.gateways[0].units[9].id].hex()}\n"


def test_a_key_that_was_lost_is_made_anew_and_its_public_key_with_it(made: Provisioned, folder: Path) -> None:
    (folder / "station/seed").unlink()
    (folder / "public").unlink()
    again = keys.provision(SITE, folder, draw=Random(8).randbytes)
    assert again.added == ("signing key station",)
    assert again.keys.public["gateway:gw1"] == made.keys.public["gateway:gw1"]
    assert again.keys.public["station"] == Signer("station", again.keys.seeds["station"]).public
    assert again.keys.seeds["station"] != made.keys.seeds["station"]


def test_a_lost_key_is_not_replaced_behind_the_back_of_its_public_key(made: Provisioned, folder: Path) -> None:
    """Elsewhere the old public key is still believed. And a gateway's part of the keys must not grow a station."""
    (folder / "station/seed").unlink()
    with pytest.raises(KeysDamaged, match="station is in `public`, but its signing key is not here"):
        keys.provision(SITE, folder, draw=Random(8).randbytes)
    assert not (folder / "station/seed").exists()
    assert keys.read(folder).public == made.keys.public


def test_the_same_dice_make_the_same_keys(made: Provisioned, tmp_path: Path) -> None:
    other = keys.provision(SITE, tmp_path / "other", draw=draw())
    assert contents(tmp_path / "other") == contents(made.keys.directory)
    assert other.tokens == made.tokens


def test_without_dice_keys_come_from_the_system(tmp_path: Path) -> None:
    one, two = keys.provision(SITE, tmp_path / "one"), keys.provision(SITE, tmp_path / "two")
    assert not set(one.keys.units.values()) & set(two.keys.units.values())
    assert not set(one.keys.passwords.values()) & set(two.keys.passwords.values())


def test_nobody_else_can_read_them_whatever_the_umask(folder: Path) -> None:
    old = os.umask(0)
    try:
        keys.provision(SITE, folder, draw=draw())
    finally:
        os.umask(old)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*") if path.is_file()}
    assert modes == {0o600}
    assert {stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.rglob("*")) if path.is_dir()} == {0o700}


def test_a_folder_above_the_keys_is_left_as_it_is(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    keys.provision(SITE, tmp_path / "keys", draw=draw())
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


@pytest.mark.parametrize("path", ["", "public", "accounts", "station/seed", "station/officers", "gateways/gw1/units"])
@pytest.mark.parametrize("others", [0o040, 0o004, 0o020, 0o001])
@pytest.mark.usefixtures("made")
def test_keys_that_others_can_reach_are_refused_with_the_command_that_mends_it(
    folder: Path, path: str, others: int
) -> None:
    exposed = folder / path
    exposed.chmod(stat.S_IMODE(exposed.stat().st_mode) | others)
    with pytest.raises(KeysExposed) as caught:
        keys.read(folder)
    assert caught.value.path == exposed
    assert caught.value.command == f"chmod {'600' if path else '700'} '{exposed}'"
    assert caught.value.command in str(caught.value)
    with pytest.raises(KeysExposed):
        keys.provision(LARGER, folder, draw=draw())
    subprocess.run(shlex.split(caught.value.command), check=True)
    keys.read(folder)


@pytest.mark.parametrize(
    ("path", "damage", "why"),
    [
        ("station/seed", lambda text: text[:-2], "this needs 64 hexadecimal digits"),
        ("station/seed", lambda text: "z" + text[1:], "this needs 64 hexadecimal digits"),
        ("station/seed", lambda _: "", "this needs 64 hexadecimal digits"),
        ("gateways/gw1/units", lambda text: text[:-2], "u10 needs 32 hexadecimal digits"),
        ("gateways/gw1/units", lambda text: text + text, "line 11: u01 is here twice"),
        ("accounts", lambda text: f"{text}\nnorth.police\n", "line 15: a line is a name, a space and a value"),
        ("station/officers", lambda text: text.replace("desk ", "desk 00"), "desk needs 64 hexadecimal digits"),
        ("public", lambda text: text.replace("station", "stat"), None),
        (
            "public",
            lambda text: text.replace(text[8:10], "00" if text[8:10] != "00" else "01", 1),
            "does not belong to",
        ),
    ],
)
@pytest.mark.usefixtures("made")
def test_damaged_keys_are_told_by_file_and_line(
    folder: Path, path: str, damage: Callable[[str], str], why: str | None
) -> None:
    damaged = folder / path
    damaged.write_text(damage(damaged.read_text()))
    if why is None:
        keys.read(folder)
        return
    with pytest.raises(KeysDamaged, match=re.escape(why)) as caught:
        keys.read(folder)
    assert caught.value.path == damaged
    before = contents(folder)
    with pytest.raises(KeysDamaged):
        keys.provision(LARGER, folder, draw=draw())
    assert contents(folder) == before


@pytest.mark.usefixtures("made")
def test_keys_that_are_no_text_are_damaged(folder: Path) -> None:
    (folder / "accounts").write_bytes(b"\xff\xfe")
    with pytest.raises(KeysDamaged, match="no text"):
        keys.read(folder)


@pytest.mark.usefixtures("made")
def test_two_keys_of_one_unit_are_damage(folder: Path) -> None:
    other = folder / "gateways/gw2"
    other.mkdir(mode=0o700)
    (other / "units").write_text(f"u03 {'0f' * 16}\n")
    (other / "units").chmod(0o600)
    with pytest.raises(KeysDamaged, match="another key"):
        keys.read(folder)


def test_a_gateway_reads_its_own_part_and_nothing_else(made: Provisioned, folder: Path, tmp_path: Path) -> None:
    part = tmp_path / "part"
    shutil.copytree(folder / "gateways/gw1", part / "gateways/gw1")
    shutil.copy(folder / "public", part)
    part.chmod(0o700)
    own = keys.read(part)
    assert own.units == made.keys.units
    assert set(own.seeds) == {"gateway:gw1"}
    assert own.public == made.keys.public
    assert set(own.passwords) == {"north.gateway.gw1"}
    assert own.officers == {}
    with pytest.raises(KeyMissing, match="the signing key of station is missing"):
        own.seed("station")


@pytest.mark.parametrize(
    ("ask", "file"),
    [
        (lambda empty: empty.seed("station"), "station/seed"),
        (lambda empty: empty.seed_path("gateway:gw1"), "gateways/gw1/seed"),
        (lambda empty: empty.public_key("station"), "public"),
        (lambda empty: empty.unit("gw1", "u01"), "gateways/gw1/units"),
        (lambda empty: empty.password("north.police"), ""),
        (lambda empty: empty.officer("desk"), "station/officers"),
    ],
)
def test_a_key_that_is_missing_is_told_with_the_file_that_should_have_it(
    tmp_path: Path, ask: Callable[[Keys], object], file: str
) -> None:
    empty = keys.read(tmp_path / "none")
    with pytest.raises(KeyMissing, match="is missing") as caught:
        ask(empty)
    assert caught.value.path == tmp_path / "none" / file


def test_lines_written_by_hand_may_have_comments_blanks_and_no_end(made: Provisioned, folder: Path) -> None:
    accounts = folder / "accounts"
    accounts.write_text(f"# who reads\n\n{accounts.read_text()}home.assistant  secret")
    assert keys.read(folder).passwords["home.assistant"] == "secret"
    again = keys.provision(LARGER, folder, draw=Random(8).randbytes)
    assert again.keys.passwords["home.assistant"] == "secret"
    assert again.keys.passwords.items() > made.keys.passwords.items()


def test_keys_do_not_show_in_what_is_printed_of_them(made: Provisioned) -> None:
    shown = repr(made)
    for secret in (*made.keys.passwords.values(), *made.tokens.values()):
        assert secret not in shown
    for key in (*made.keys.units.values(), *made.keys.seeds.values()):
        assert key.hex() not in shown
        assert repr(key)[2:-1] not in shown


@pytest.mark.parametrize("where", ["a-file", "a-file/keys"])
def test_a_folder_that_cannot_be_is_told_in_words(tmp_path: Path, where: str) -> None:
    (tmp_path / "a-file").touch(mode=0o600)
    with pytest.raises(KeysUnreachable, match=r"Not a directory|File exists"):
        keys.provision(SITE, tmp_path / where, draw=draw())


@pytest.mark.usefixtures("made")
def test_a_place_that_cannot_be_written_is_told_and_nothing_is_half_made(folder: Path) -> None:
    (folder / "gateways/gw1/units").unlink()
    (folder / "gateways/gw1/.units.new").mkdir()
    with pytest.raises(KeysError, match="units"):
        keys.provision(SITE, folder, draw=draw())
    assert not (folder / "gateways/gw1/units").exists()


def _provision(folder: Path, seed: int) -> None:
    keys.provision(SITE, folder, draw=Random(seed).randbytes)


def test_two_that_make_keys_at_once_end_with_one_set(folder: Path) -> None:
    spawn = get_context("spawn")
    makers = [spawn.Process(target=_provision, args=(folder, seed)) for seed in range(4)]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join()
    assert [maker.exitcode for maker in makers] == [0] * 4
    one_of_them = [keys.provision(SITE, folder.with_name(f"alone{n}"), draw=Random(n).randbytes).keys for n in range(4)]
    assert keys.read(folder).seeds in [alone.seeds for alone in one_of_them]
    assert keys.read(folder).passwords in [alone.passwords for alone in one_of_them]
