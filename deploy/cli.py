"""The one command of Shouwang: `shouwang demo`, `gateway`, `station` and so on (docs/commands.md).

Every command imports only what it needs, so that a gateway on a small board loads no web server. Exit codes are the
same everywhere: 0 fine, 1 the verdict of a demo or benchmark is bad, 2 wrong usage or settings, 3 something that is
needed is missing or in use, 4 a store cannot be used.
"""

import asyncio
import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from broker.kinds import Words
from deploy import interference

if TYPE_CHECKING:
    from api.settings import StationSettings
    from deploy.authority import Authority, Names
    from deploy.provisioning import Made
    from deploy.restoring import Restored

app = typer.Typer(
    name="shouwang",
    help="Shouwang (守望): a neighbourhood alarm, from the key to the police station.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

OK, BAD, USAGE, MISSING, STORE = range(5)

SiteFile = Annotated[Path, typer.Option("--site", help="The site file (docs/site.md).")]
StateFolder = Annotated[Path | None, typer.Option("--state", help="Where state is kept.")]
KeysFolder = Annotated[Path | None, typer.Option("--keys", help="The keys; default: keys/ beside the site file.")]
AsJson = Annotated[bool, typer.Option("--json", help="For a program: JSON on standard output.")]
Interfere = Annotated[list[str] | None, typer.Option("--interfere", hidden=True, metavar="POINT:HOW:N")]
ClockFile = Annotated[Path | None, typer.Option("--clock", hidden=True, help="How far its clock is ahead.")]


class Language(StrEnum):
    """On which language the command answers."""

    zh = "zh"
    en = "en"


class Gpio(StrEnum):
    """Which pins a gateway uses."""

    none = "none"
    mock = "mock"
    lgpio = "lgpio"


def fail(why: object, code: int) -> NoReturn:
    """End with one sentence about what is wrong and what to do; never with a traceback."""
    if isinstance(why, OSError) and why.filename is not None and why.strerror is not None:
        is_file = isinstance(why, FileExistsError | NotADirectoryError)
        why = f"{why.filename}: {'is a file, not a directory' if is_file else why.strerror}"
    sys.stderr.write(f"shouwang: {why}\n")
    raise typer.Exit(code)


def _wrap(interfere: list[str] | None) -> interference.Wrap:
    try:
        return interference.wrapping(tuple(interference.read(text) for text in interfere or ()))
    except interference.NotInterference as error:
        fail(error, USAGE)


@contextmanager
def _without(module: str) -> Iterator[None]:
    """What is imported inside does not find `module`, unless that is loaded already."""
    loaded = module in sys.modules
    if not loaded:
        sys.modules[module] = None  # type: ignore[assignment] # how Python notes that there is none
    try:
        yield
    finally:
        if not loaded:
            del sys.modules[module]


@app.command()
def demo(
    once: Annotated[bool, typer.Option("--once", help="Play a short evening, judge it from outside, end.")] = False,
    json_: AsJson = False,
    site: Annotated[Path | None, typer.Option("--site", help="Another village than the example.")] = None,
    state: Annotated[Path | None, typer.Option("--state", help="Keep everything here, to look at it later.")] = None,
    lang: Annotated[Language, typer.Option(help="Chinese or English.")] = Language.zh,
) -> None:
    """Show a village of ten households: press keys, and see who learns what and when."""
    from deploy import check, stage
    from deploy import demo as demonstration
    from deploy import keys as keyring
    from deploy.box import BoxError
    from deploy.mosquitto import BrokerError

    try:
        with stage.ended_by_signals(), stage.place(state) as folder:
            path = site or stage.example("village.toml")
            if not once and not json_ and sys.stdin.isatty():
                stage.live(path, folder, language=lang.value)
                return
            with stage.playing(language=lang.value) as tell:
                verdict = demonstration.run_once(path, folder, tell=tell)
    except (check.SiteError, keyring.KeysError, demonstration.NotAVillage, stage.NotEmpty) as error:
        fail(error, USAGE)
    except (BoxError, BrokerError, OSError) as error:
        fail(error, MISSING)
    if json_:
        sys.stdout.write(json.dumps(verdict.as_plain(), ensure_ascii=False, indent=1) + "\n")
    else:
        stage.show_verdict(verdict, language=lang.value)
    raise typer.Exit(OK if verdict.ok else BAD)


@app.command()
def gateway(
    site: SiteFile,
    id: Annotated[str, typer.Option("--id", help="Which gateway of the site this box is.")],  # noqa: A002
    state: StateFolder = None,
    keys: KeysFolder = None,
    broker_port: Annotated[int | None, typer.Option(help="A broker on this machine instead of the site's.")] = None,
    gpio: Annotated[Gpio | None, typer.Option(help="Use these pins instead of the site's.")] = None,
    gpio_socket: Annotated[Path | None, typer.Option(help="With mock pins: where a simulator sets levels.")] = None,
    clock: ClockFile = None,
    interfere: Interfere = None,
) -> None:
    """Run a gateway: hear keys and readers, alert the neighbours, keep and deliver."""
    from deploy import assembly, check
    from deploy import clock as clocks
    from deploy import keys as keyring

    with _without("rich"):  # structlog would load it for tracebacks that nobody draws: 4 MiB
        from gateway import program
        from gateway.journal import InUse, JournalError

    folder = state or Path("/var/lib/shouwang") / id
    try:
        read = check.load(site)
        settings = assembly.gateway_settings(
            read,
            keyring.read(keys or site.parent / "keys"),
            id,
            state=folder,
            broker=None if broker_port is None else assembly.BrokerAddress(port=broker_port),
            gpio=None if gpio is None else gpio.value,
            gpio_socket=gpio_socket,
        )
    except (check.SiteError, keyring.KeysError, assembly.UnknownGateway) as error:
        fail(error, USAGE)
    wrap = _wrap(interfere)
    try:
        told = None if clock is None else clocks.for_gateway(clock)
    except (OSError, ValueError) as error:
        fail(error, USAGE)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        fail(error, STORE)
    try:
        asyncio.run(program.run(settings, clock=told, wrap=wrap))
    except (InUse, OSError) as error:
        fail(error, MISSING)
    except JournalError as error:
        fail(error, STORE)


class StationRole(StrEnum):
    """What a station's process is for."""

    all = "all"
    ingest = "ingest"
    notifier = "notifier"
    web = "web"


@app.command()
def station(
    site: Annotated[Path | None, typer.Option("--site", help="The site file (docs/site.md).")] = None,
    state: StateFolder = None,
    keys: KeysFolder = None,
    settings: Annotated[Path | None, typer.Option(help="Settings as JSON, instead of a site file.")] = None,
    database: Annotated[
        str | None,
        typer.Option(envvar="SHOUWANG_DATABASE", help="postgresql+psycopg://..., not a file in the state folder."),
    ] = None,
    role: Annotated[
        StationRole, typer.Option(help="With PostgreSQL: the part of the station that this process is for.")
    ] = StationRole.all,
    port: Annotated[int | None, typer.Option(help="Serve HTTP here, not where the site or the settings say.")] = None,
    clock: ClockFile = None,
    interfere: Interfere = None,
) -> None:
    """Run the police station's side: take alarms in, acknowledge them, answer over HTTP."""
    with _without("rich"):  # structlog would load it for tracebacks that nobody draws: 4 MiB
        from api import program
        from api import settings as station_settings
        from api.clock import wall_ms
        from api.leases.rules import Role
    from deploy import assembly, check, mosquitto
    from deploy import clock as clocks
    from deploy import keys as keyring

    if (site is None) == (settings is None):
        fail("give either --site or --settings", USAGE)
    wrap = _wrap(interfere)
    try:
        if site is not None:
            folder = state or Path("/var/lib/shouwang/station")
            made = assembly.station_settings(check.load(site), keyring.read(keys or site.parent / "keys"), state=folder)
            if database is not None:
                secrets = made.accounts.model_copy(update={"secrets": folder})  # otherwise beside the database's file
                made = made.model_copy(update={"database": database, "accounts": secrets})
            folder.mkdir(parents=True, exist_ok=True)
            settings = folder / "settings.json"
            mosquitto.write_private(settings, assembly.station_text(made))
        assert settings is not None
        read = station_settings.load(settings)
    except (check.SiteError, keyring.KeysError, station_settings.SettingsError) as error:
        fail(error, USAGE)
    except OSError as error:
        fail(error, STORE)
    if port is not None:
        read = read.model_copy(update={"http": read.http.model_copy(update={"port": port})})
    try:
        told = wall_ms if clock is None else clocks.for_station(clock)
    except (OSError, ValueError) as error:
        fail(error, USAGE)
    raise typer.Exit(program.serve(read, role=Role(role.value), wrap=wrap, clock=told))


def _station_settings(settings: Path | None, state: Path) -> "StationSettings":
    """Those of a station that is set up here: in the file that is named, else in its state folder."""
    from api import settings as station_settings

    try:
        return station_settings.load(settings or state / "settings.json")
    except station_settings.SettingsError as error:
        fail(error, USAGE)


audit = typer.Typer(help="The station's own record of who did what.", no_args_is_help=True)
app.add_typer(audit, name="audit")


@audit.command("verify")
def audit_verify(
    settings: Annotated[Path | None, typer.Option(help="The station's settings as JSON.")] = None,
    state: Annotated[Path, typer.Option("--state", help="Or: its state folder.")] = Path("/var/lib/shouwang/station"),
    told: Annotated[list[str] | None, typer.Option(metavar="SEQ:DIGEST", help="A head that others were given.")] = None,
    json_: AsJson = False,
) -> None:
    """Look whether anybody changed the record, and name the first row that is not as it was written."""
    from api.audit import verifying
    from api.database import DatabaseError

    heads: dict[int, str] = {}
    for one in told or ():
        seq, colon, digest = one.partition(":")
        if not colon or not seq.isdecimal() or len(digest) != 64:
            fail(f"{one!r}: give SEQ:DIGEST, as `shouwang audit verify` prints a head", USAGE)
        heads[int(seq)] = digest.lower()
    read = _station_settings(settings, state)
    try:
        verdict = verifying.verify(read.database, station=read.station, told=heads)
    except DatabaseError as error:
        fail(error, STORE)
    sys.stdout.write((verifying.as_json(verdict) if json_ else verifying.as_text(verdict)) + "\n")
    raise typer.Exit(OK if verdict.ok else BAD)


admin = typer.Typer(help="For whoever has the station's machine.", no_args_is_help=True)
app.add_typer(admin, name="admin")


@admin.command("recover")
def admin_recover(
    account: Annotated[str | None, typer.Option(help="Login of the administrator; where there is one, he.")] = None,
    settings: Annotated[Path | None, typer.Option(help="The station's settings as JSON.")] = None,
    state: Annotated[Path, typer.Option("--state", help="Or: its state folder.")] = Path("/var/lib/shouwang/station"),
    reason: Annotated[str | None, typer.Option(help="Why; stands in the record of who did what.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Although another administrator could do it.")] = False,
    json_: AsJson = False,
) -> None:
    """Let an administrator in again who lost password and second factor: a password that is good once."""
    import secrets

    from api.accounts import recovering
    from api.clock import wall_ms
    from api.database import DatabaseError, DatabaseInUse

    read = _station_settings(settings, state)
    try:
        done = recovering.recover(
            read,
            login=account,
            forced=force,
            reason=reason,
            clock=wall_ms,
            random_bytes=secrets.token_bytes,
        )
    except recovering.NotRecovered as error:
        fail(error, BAD if error.code == "somebody_else_could" else USAGE)
    except DatabaseInUse as error:
        fail(f"{error}; end the station first, it can be started again at once", MISSING)
    except (DatabaseError, OSError) as error:
        fail(error, STORE)
    if json_:
        said = {"account": done.account, "login": done.login, "secret": done.secret}
        sys.stdout.write(json.dumps(said) + "\n")
    else:
        sys.stdout.write(f"{done.login}: {done.secret}   (shown once, kept nowhere / 仅显示一次)\n")


broker = typer.Typer(help="Rights at the broker, as the station's register has them.", no_args_is_help=True)
app.add_typer(broker, name="broker")


@broker.command("render")
def broker_render(
    out: Annotated[Path, typer.Option("--out", help="The folder of mosquitto's `acl` and `passwords`.")],
    access: Annotated[Path | None, typer.Option(help="broker-access.json, as the station wrote it.")] = None,
    state: Annotated[Path, typer.Option("--state", help="Or: its state folder.")] = Path("/var/lib/shouwang/station"),
    site: Annotated[Path | None, typer.Option("--site", help="Whose keys hold the passwords of its accounts.")] = None,
    keys: KeysFolder = None,
    follow: Annotated[bool, typer.Option("--follow", help="Go on, and render what the station changes.")] = False,
    pid_file: Annotated[Path | None, typer.Option(help="Of the mosquitto that is to read them anew.")] = None,
    tls: Annotated[
        Path | None, typer.Option("--tls", help="The folder of its station.crt: write mosquitto.conf as well.")
    ] = None,
    listen: Annotated[str, typer.Option(metavar="ADDRESS:PORT", help="With --tls: where it listens.")] = "0.0.0.0:8883",
    local_port: Annotated[int, typer.Option(help="With --tls: its port on loopback, for passwords.")] = 1883,
) -> None:
    """Write who may do what at the broker for an installed mosquitto, and let it read that anew."""
    import signal
    import threading

    from broker.access import Access, NoAccess
    from deploy import access as accessing
    from deploy import keys as keyring
    from deploy import mosquitto
    from deploy.accounts import ACCESS_FILE
    from deploy.handshakes import Handshakes

    folder = keys or (None if site is None else site.parent / "keys")
    path = access or state / ACCESS_FILE
    digests: dict[str, str] = {}
    try:
        passwords = {} if folder is None else keyring.read(folder).passwords
    except keyring.KeysError as error:
        fail(error, USAGE)

    def renew(said: Access) -> None:
        for user in accessing.render(said, out, passwords=passwords, digests=digests):
            sys.stderr.write(f"{user} has no password: give it one at the station, or name its keys\n")
        if pid_file is not None:
            accessing.reload(pid_file)

    if tls is not None:
        try:
            accessing.render_broker(out, tls=tls, listen=listen, local_port=local_port)
        except ValueError as error:
            fail(error, USAGE)
        except OSError as error:
            fail(error, STORE)
    if follow:
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())

        def told(line: str) -> None:
            sys.stderr.write(f"{line}\n")

        following = accessing.Following(path, renew, told=told)
        looks: list[Callable[[], object]] = [following.look]
        if tls is not None and pid_file is not None:
            again = partial(accessing.reload, pid_file)
            cut = partial(mosquitto.end_connection, passwords=out / "passwords", port=local_port, reload=again)
            looks.append(Handshakes(tls, reload=again, cut=cut, told=told).look)
        while not stop.is_set():  # one after the other: both write `passwords`
            for look in looks:
                look()
            stop.wait(accessing.LOOK_S)
        return
    try:
        said = accessing.read(path)
        if said is None:
            fail(f"{path} is not there: the station writes it when it starts", MISSING)
        renew(said)
    except NoAccess as error:
        fail(f"{path}: {error}", USAGE)
    except OSError as error:
        fail(error, STORE)


ca = typer.Typer(help="The site's own authority, for HTTPS (docs/tls.md).", no_args_is_help=True)
app.add_typer(ca, name="ca")

CaFolder = Annotated[Path, typer.Option("--ca", help="The authority's folder. It belongs on a stick in a safe.")]
PassphraseFile = Annotated[
    Path | None, typer.Option(help="The passphrase of the root's key, first line of a file; default: it is asked for.")
]


def _passphrase(file: Path | None, *, new: bool = False, what: str = "the root's key") -> str:
    try:
        text = None if file is None else file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        fail(error, USAGE)
    if text is not None:
        return text[0] if text else ""
    if not sys.stdin.isatty():
        fail("give --passphrase-file: nobody is here to be asked for the passphrase", USAGE)
    asked: str = typer.prompt(f"Passphrase of {what}", hide_input=True, confirmation_prompt=new, err=True)
    return asked


@ca.command("init")
def ca_init(
    ca: CaFolder,
    name: Annotated[str, typer.Option(help="What phones call it: the station's name.")],
    permit: Annotated[
        list[str] | None,
        typer.Option(metavar="DOMAIN|NETWORK", help="It may sign for this as well as for private networks."),
    ] = None,
    passphrase_file: PassphraseFile = None,
    unprotected: Annotated[bool, typer.Option("--unprotected", help="Leave the root's key without one.")] = False,
) -> None:
    """Make an authority that may sign for private networks, local names and what is permitted; nothing else."""
    from datetime import UTC, datetime

    from deploy import authority

    passphrase = None if unprotected else _passphrase(passphrase_file, new=True)
    try:
        made = authority.establish(ca, name=name, permit=permit or (), passphrase=passphrase, now=datetime.now(UTC))
    except (authority.AuthorityError, ValueError) as error:
        fail(error, USAGE)
    except OSError as error:
        fail(error, STORE)
    sys.stdout.write(f"{ca / authority.ROOT}  {made.root.not_valid_after_utc:%Y-%m-%d}\n")
    sys.stdout.write(f"SHA-256 {authority.fingerprint(made.root)}\n")
    sys.stdout.write(f"SHA-1   {authority.fingerprint(made.root, sha1=True)}\n")
    sys.stderr.write(
        f"Keep {ca} on two sticks in two places, and not on the station: whoever has {authority.ROOT_KEY}"
        f"{'' if unprotected else ' and its passphrase'} can pretend to be it.\n"
        f"请把 {ca} 存到两个 U 盘, 分两处保管, 不要留在平台主机上。\n"
    )


@ca.command("station")
def ca_station(
    ca: CaFolder,
    names: Annotated[list[str], typer.Argument(help="Names and addresses by which browsers reach the station.")],
    out: Annotated[Path, typer.Option("--out", help="The folder for station.crt, station.key, root.crt, issued.json.")],
    passphrase_file: PassphraseFile = None,
) -> None:
    """Sign a certificate for the station, good for 397 days."""
    from deploy import authority

    try:
        asked = authority.names_of(names)
    except ValueError as error:
        fail(error, USAGE)
    _sign_for_station(ca, asked, out, passphrase_file)


@ca.command("renew")
def ca_renew(
    ca: CaFolder,
    out: Annotated[Path, typer.Option("--out", help="The folder of the station.crt that is to be renewed.")],
    passphrase_file: PassphraseFile = None,
) -> None:
    """Sign a new certificate for the names of the present one. A running station takes it within seconds."""
    from deploy import authority

    try:
        names = authority.names_in(out / authority.STATION)
    except authority.AuthorityError as error:
        fail(error, USAGE)
    _sign_for_station(ca, names, out, passphrase_file)


def _sign_for_station(ca: Path, names: "Names", out: Path, passphrase_file: Path | None) -> None:
    from datetime import UTC, datetime

    from deploy import authority

    try:
        passphrase = None if authority.is_open(ca) else _passphrase(passphrase_file)
        signs = authority.open_authority(ca, passphrase)
        pair = signs.server(names, now=datetime.now(UTC))
        authority.put_station(pair, signs, out)
    except authority.AuthorityError as error:
        fail(error, USAGE)
    except OSError as error:
        fail(error, STORE)
    until = datetime.fromtimestamp(pair.issued.not_after, UTC)
    sys.stdout.write(f"{out / authority.STATION}  {pair.issued.serial}  {until:%Y-%m-%d}\n")


@ca.command("list")
def ca_list(ca: CaFolder, json_: AsJson = False) -> None:
    """Name the root with its fingerprints, and every certificate that was signed."""
    from dataclasses import asdict
    from datetime import UTC, datetime

    from deploy import authority

    try:
        root, rows = authority.root_of(ca), authority.listed(ca)
        domains, networks = authority.permitted_of(root)
    except authority.AuthorityError as error:
        fail(error, USAGE)
    sha256, sha1 = authority.fingerprint(root), authority.fingerprint(root, sha1=True)
    permitted = [*domains, *map(str, networks)]
    if json_:
        said = {"sha256": sha256, "sha1": sha1, "not_after": int(root.not_valid_after_utc.timestamp()),
                "permitted": permitted, "issued": [asdict(row) for row in rows]}  # fmt: skip
        sys.stdout.write(json.dumps(said, ensure_ascii=False, indent=1) + "\n")
        return
    sys.stdout.write(f"{ca / authority.ROOT}  {root.not_valid_after_utc:%Y-%m-%d}\nSHA-256 {sha256}\nSHA-1   {sha1}\n")
    sys.stdout.write(f"{' '.join(permitted)}\n")
    for row in rows:
        until = datetime.fromtimestamp(row.not_after, UTC)
        ended = "" if row.revoked is None else f"  revoked {datetime.fromtimestamp(row.revoked, UTC):%Y-%m-%d}"
        sys.stdout.write(f"{row.serial}  {row.sort}  {row.name}  {until:%Y-%m-%d}{ended}\n")


@ca.command("revoke")
def ca_revoke(
    ca: CaFolder,
    which: Annotated[str, typer.Argument(metavar="SERIAL|NAME", help="As `shouwang ca list` names it.")],
    out: Annotated[
        Path | None, typer.Option("--out", help="The folder of the station.crt of the broker: bring the lists there.")
    ] = None,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Let certificates count no more, and write the list of them that a broker reads. Browsers read no list."""
    from datetime import UTC, datetime

    from deploy import authority

    try:
        passphrase = None if authority.is_open(ca) else _passphrase(passphrase_file)
        ended = authority.open_authority(ca, passphrase).revoke(which, now=datetime.now(UTC))
        if out is not None:
            authority.put_lists(ca, out)
    except authority.AuthorityError as error:
        fail(error, USAGE)
    except OSError as error:
        fail(error, STORE)
    sys.stdout.writelines(f"- {row.serial}  {row.sort}  {row.name}\n" for row in ended)


provision = typer.Typer(help="What is carried to a gateway, a unit or an account (docs/tls.md).", no_args_is_help=True)
app.add_typer(provision, name="provision")

CaOption = Annotated[
    Path | None, typer.Option("--ca", help="The authority's folder, where the broker knows accounts by certificate.")
]
TlsFolder = Annotated[
    Path | None, typer.Option("--tls", help="The folder of the broker's station.crt: bring the lists there.")
]


def _authority(ca: Path | None, passphrase_file: Path | None, *, needed: bool = True) -> "Authority | None":
    """The authority that signs; None where nobody needs one."""
    from deploy import authority

    if not needed:
        return None
    if ca is None:
        fail("the broker knows its accounts by certificate ([broker] mutual = true): give --ca", USAGE)
    passphrase = None if authority.is_open(ca) else _passphrase(passphrase_file)
    return authority.open_authority(ca, passphrase)


@contextmanager
def _provisioning() -> Iterator[None]:
    """What can be wrong with provisioning is said in a sentence."""
    from deploy import assembly, authority, check, provisioning
    from deploy import keys as keyring

    try:
        yield
    except (
        authority.AuthorityError,
        check.SiteError,
        keyring.KeysError,
        assembly.UnknownGateway,
        provisioning.ProvisioningError,
        ValueError,
    ) as error:
        fail(error, USAGE)
    except OSError as error:
        fail(error, STORE)


def _say_made(made: "Made", signs: "Authority | None", tls: Path | None) -> None:
    from datetime import UTC, datetime

    from deploy import authority

    if signs is not None and tls is not None:
        authority.put_lists(signs.directory, tls)
    line = str(made.where)
    if made.issued is not None:
        until = datetime.fromtimestamp(made.issued.not_after, UTC)
        line += f"  {made.issued.name}  {made.issued.serial}  {until:%Y-%m-%d}"
    sys.stdout.write(line + "\n")


@provision.command("station")
def provision_station(
    site: SiteFile,
    ca: CaOption = None,
    keys: KeysFolder = None,
    tls: TlsFolder = None,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Give the station its certificate for the broker, among its keys; again: a new one for the same key."""
    from datetime import UTC, datetime

    from deploy import check, provisioning

    with _provisioning():
        read = check.load(site)
        signs = _authority(ca, passphrase_file)
        assert signs is not None
        made = provisioning.provision_station(read, keys or site.parent / "keys", signs=signs, now=datetime.now(UTC))
        _say_made(made, signs, tls)


@provision.command("gateway")
def provision_gateway(
    id: Annotated[str, typer.Argument(help="Which gateway of the site.")],  # noqa: A002
    site: SiteFile,
    out: Annotated[Path, typer.Option("--out", help="A new folder, which is carried to the box.")],
    ca: CaOption = None,
    keys: KeysFolder = None,
    renew: Annotated[bool, typer.Option("--renew", help="Only a new certificate, for the key that it has.")] = False,
    tls: TlsFolder = None,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Make what a gateway's box needs: its part of the site file, its keys, its certificate for the broker."""
    from datetime import UTC, datetime

    from deploy import check, provisioning

    with _provisioning():
        read, now = check.load(site), datetime.now(UTC)
        signs = _authority(ca, passphrase_file, needed=renew or read.broker.mutual)
        keyring = keys or site.parent / "keys"
        if renew:
            assert signs is not None
            made = provisioning.renew_gateway(read, id, keyring=keyring, out=out, signs=signs, now=now)
        else:
            made = provisioning.provision_gateway(
                read, site.read_text(encoding="utf-8"), id, keyring=keyring, out=out, signs=signs, now=now
            )
        _say_made(made, signs, tls)
    if not renew:
        sys.stderr.write(
            f"Whoever has {out} is this gateway: carry it yourself, put it into /etc/shouwang, and erase the medium.\n"
            f"拿到 {out} 就等于拿到这台网关: 专人携带, 拷入 /etc/shouwang 后清除介质。\n"
        )


@provision.command("unit")
def provision_unit(
    units: Annotated[list[str], typer.Argument(help="Units of the site file.")],
    site: SiteFile,
    out: Annotated[Path, typer.Option("--out", help="The page of labels: .html, for its owner alone.")],
    keys: KeysFolder = None,
) -> None:
    """Print the labels of units: id, line and address, and the key in words and as a QR code."""
    from deploy import check, provisioning

    with _provisioning():
        page = provisioning.labels(check.load(site), units, keyring=keys or site.parent / "keys")
        provisioning.put_labels(page, out)
        sys.stdout.write(f"{out}  {len(units)}\n")


@provision.command("user")
def provision_user(
    who: Annotated[
        str, typer.Argument(help="police, community:c1, grid:w1 or household:h03; @SEAT for a further one.")
    ],
    site: SiteFile,
    out: Annotated[Path, typer.Option("--out", help="A new folder for certificate, key and what to set up.")],
    ca: CaOption = None,
    tls: TlsFolder = None,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Make a certificate for an account that only receives at the broker: a screen, or a household's automation."""
    from datetime import UTC, datetime

    from deploy import check, provisioning

    with _provisioning():
        read = check.load(site)
        principal = provisioning.receiver(read, who)
        signs = _authority(ca, passphrase_file)
        assert signs is not None
        made = provisioning.provision_user(read, principal, out=out, signs=signs, now=datetime.now(UTC))
        _say_made(made, signs, tls)
    if not provisioning.has_rights(read, principal):
        sys.stderr.write(f"{principal.user} hears nothing until the desk gives it an account (docs/register.md)\n")


class Period(StrEnum):
    """How long an assessment is over."""

    day = "day"
    week = "week"
    month = "month"
    year = "year"


@app.command()
def assess(
    day: Annotated[str, typer.Option(help="Any day of the period, as 2026-11-22, in the station's civil time.")],
    period: Annotated[Period, typer.Option(help="How long.")] = Period.month,
    settings: Annotated[Path | None, typer.Option(help="The station's settings as JSON.")] = None,
    state: Annotated[Path, typer.Option("--state", help="Or: its state folder.")] = Path("/var/lib/shouwang/station"),
    json_: AsJson = False,
) -> None:
    """Recompute a station's figures from its log, and say whether the alarm table agrees to the digit."""
    from datetime import date

    from api.clock import wall_ms
    from api.database import DatabaseError
    from api.reports import assessing, rules

    read = _station_settings(settings, state)
    try:
        when = rules.span(rules.Period(period.value), date.fromisoformat(day), read.zone)
        found = assessing.assess(read, when, now_ms=wall_ms())
    except ValueError as error:
        fail(error, USAGE)
    except DatabaseError as error:
        fail(error, STORE)
    sys.stdout.write((assessing.as_json(found) if json_ else assessing.as_text(found)) + "\n")
    raise typer.Exit(OK if found.agrees else BAD)


@app.command()
def scrub(
    settings: Annotated[Path | None, typer.Option(help="The station's settings as JSON.")] = None,
    state: Annotated[Path, typer.Option("--state", help="Or: its state folder.")] = Path("/var/lib/shouwang/station"),
    database: Annotated[
        str | None,
        typer.Option(envvar="SHOUWANG_DATABASE", help="As another account of the server, which may do more."),
    ] = None,
    json_: AsJson = False,
) -> None:
    """Take what was erased out of the files of a PostgreSQL too. The station is ended meanwhile (docs/privacy.md)."""
    from api.clock import wall_ms
    from api.database import DatabaseError
    from api.privacy import scrubbing

    read = _station_settings(settings, state)
    try:
        found = scrubbing.scrub(database or read.database, station=read.station, now_ms=wall_ms())
    except scrubbing.StationRuns as error:
        fail(error, MISSING)
    except DatabaseError as error:
        fail(error, STORE)
    sys.stdout.write((scrubbing.as_json(found) if json_ else scrubbing.as_text(found)) + "\n")
    raise typer.Exit(BAD if found.left else OK)


points = typer.Typer(help="The points ledger (积分台账).", no_args_is_help=True)
app.add_typer(points, name="points")


@points.command("recompute")
def points_recompute(
    settings: Annotated[Path | None, typer.Option(help="The station's settings as JSON.")] = None,
    state: Annotated[Path, typer.Option("--state", help="Or: its state folder.")] = Path("/var/lib/shouwang/station"),
    json_: AsJson = False,
) -> None:
    """Replay the ledger, judge its facts anew, and say whether balances and closed months agree to the digit."""
    from api.database import DatabaseError
    from api.points import recomputing

    read = _station_settings(settings, state)
    try:
        found = recomputing.recompute(read)
    except DatabaseError as error:
        fail(error, STORE)
    sys.stdout.write((recomputing.as_json(found) if json_ else recomputing.as_text(found)) + "\n")
    raise typer.Exit(OK if found.agrees else BAD)


@app.command()
def wand(
    port: Annotated[Path, typer.Option("--port", help="The serial port of the wand or of its cradle.")],
    id: Annotated[str, typer.Option("--id", help="What this wand is called here: a-z, 0-9 and -.")],  # noqa: A002
    station: Annotated[str | None, typer.Option("--station", metavar="URL", help="Where to upload.")] = None,
    token: Annotated[Path | None, typer.Option("--token", help="File with the API token for it.")] = None,
    baud: Annotated[int, typer.Option(help="Speed of the port.")] = 115_200,
) -> None:
    """Read a patrol wand (巡更棒) and upload it; without --station print it, and let it forget nothing.

    The wand may forget what was read only after the station has kept it.
    """
    from random import SystemRandom

    from deploy import wands
    from gateway.wand import WandTrouble, read_wand

    if re.fullmatch(r"[a-z0-9-]{1,32}", id) is None:
        fail(f"{id!r} is no name of a wand: 1 to 32 of a-z, 0-9 and -", USAGE)
    if (station is None) != (token is None):
        fail("--station and --token go together", USAGE)

    def tell(one: dict[str, object]) -> None:
        sys.stdout.write(json.dumps(one, ensure_ascii=False) + "\n")

    try:
        if station is None or token is None:
            keep = wands.printing(id, tell)
        else:
            keep = wands.uploading(station, token.read_text(encoding="utf-8").strip(), id, tell)
        asyncio.run(read_wand(port, keep, baud=baud, random=SystemRandom()))
    except wands.OnlyPrinted:
        return
    except (WandTrouble, wands.NotUploaded, OSError, UnicodeDecodeError) as error:
        fail(error, MISSING)


@app.command()
def code(
    key: Annotated[Path, typer.Option("--key", help="File with the answer of POST checkpoints/{point}/code/screen.")],
    out: Annotated[Path, typer.Option("--out", help="The file that the screen shows: .svg, .png or .txt.")],
    once: Annotated[bool, typer.Option("--once", help="Write it once and end.")] = False,
) -> None:
    """Show a QR code that changes every half-minute on a screen at a checkpoint (巡查点动态二维码)."""
    import time

    from deploy import screen
    from gateway.stamps import kernel_synced

    form = screen.form_of(out)
    if form is None:
        fail(f"{out}: the name ends in .svg, .png or .txt", USAGE)
    shown = ""
    try:
        while True:
            text = screen.read_key(key).shows(int(time.time()), synced=kernel_synced())
            if text != shown:
                screen.put(out, screen.picture(text, form))
                shown = text
            if once:
                return
            time.sleep(screen.LOOK_S)
    except screen.BadScreenKey as error:
        fail(error, USAGE)
    except OSError as error:
        fail(error, MISSING)
    except KeyboardInterrupt:
        return


@app.command()
def sim(
    settings: Annotated[Path | None, typer.Option(help="The village as JSON.")] = None,
    site: Annotated[Path | None, typer.Option("--site", help="Or: simulate a gateway of this site file.")] = None,
    id: Annotated[str | None, typer.Option("--id", help="Which gateway of the site.")] = None,  # noqa: A002
    keys: KeysFolder = None,
    port: Annotated[list[str] | None, typer.Option(metavar="LINE=PATH", help="Make a port here for a line.")] = None,
    attach: Annotated[list[str] | None, typer.Option(metavar="LINE=PATH", help="Use a port that exists.")] = None,
    memory: Annotated[Path | None, typer.Option(help="File that keeps the units' boot numbers.")] = None,
    frames: Annotated[bool, typer.Option(help="Tell every frame, too.")] = False,
    stay: Annotated[bool, typer.Option(help="Go on when the commands end.")] = False,
) -> None:
    """Simulate units and readers on serial ports: commands in, diaries out, one JSON object a line."""
    from deploy import assembly, check
    from deploy import keys as keyring
    from firmware_sim import program
    from firmware_sim.port import PortUnusable
    from firmware_sim.settings import BadSettings, VillageSettings

    try:
        if site is not None and id is not None:
            village = assembly.village_settings(check.load(site), keyring.read(keys or site.parent / "keys"), id)
        elif settings is not None:
            village = VillageSettings.from_json(settings.read_text("utf-8"))
        else:
            fail("give --settings, or --site with --id", USAGE)
        attached = _pairs(attach)
        made = {line.name: Path(line.name) for line in village.lines} | _pairs(port) | attached
        code = program.serve(village, ports=made, attached=attached.keys(), memory=memory, frames=frames, stay=stay)
    except (check.SiteError, keyring.KeysError, assembly.UnknownGateway, BadSettings, OSError) as error:
        fail(error, USAGE)
    except PortUnusable as error:
        fail(error, MISSING)
    raise typer.Exit(code)


def _pairs(given: list[str] | None) -> dict[str, Path]:
    pairs: dict[str, Path] = {}
    for one in given or ():
        name, equals, path = one.partition("=")
        if not equals or not path:
            fail(f"{one!r}: give LINE=PATH", USAGE)
        pairs[name] = Path(path)
    return pairs


@app.command()
def check(
    site: Annotated[Path, typer.Argument(help="The site file (docs/site.md).")],
    json_: AsJson = False,
    lang: Annotated[Language, typer.Option(help="Chinese or English.")] = Language.zh,
) -> None:
    """Look at a site file as a whole and name every error at once, with its place."""
    from rich.console import Console

    from deploy import check as checking

    console = Console()
    try:
        checked = checking.check(site)
    except checking.SiteUnreadable as error:
        if json_:
            sys.stdout.write(checking.unreadable_as_json(error) + "\n")
        else:
            checking.show_unreadable(console, error, language=lang.value)
        raise typer.Exit(checking.UNREADABLE) from None
    if json_:
        sys.stdout.write(checking.as_json(site, checked) + "\n")
    else:
        checking.show(console, site, checked, language=lang.value)
    raise typer.Exit(checked.exit_code)


@app.command()
def doctor(
    site: Annotated[Path, typer.Argument(help="The site file (docs/site.md).")],
    id: Annotated[str | None, typer.Option("--id", help="The gateway that this box is; else the station.")] = None,  # noqa: A002
    state: StateFolder = None,
    keys: KeysFolder = None,
    broker_port: Annotated[int | None, typer.Option(help="A broker on this machine instead of the site's.")] = None,
    port: Annotated[int | None, typer.Option(help="Where the station serves HTTP, if not where the site says.")] = None,
    bundle: Annotated[Path | None, typer.Option(help="Write findings and health there, without secrets.")] = None,
    json_: AsJson = False,
    lang: Annotated[Language, typer.Option(help="Chinese or English.")] = Language.zh,
) -> None:
    """Look at everything that a box needs; each line is green, or has the command that mends it."""
    from time import time_ns

    from rich.console import Console

    from deploy import doctor as doctors

    patient = doctors.Patient(
        path=site,
        keys=keys or site.parent / "keys",
        state=state or Path("/var/lib/shouwang") / (id or "station"),
        gateway=id,
        broker_port=broker_port,
        http_port=port,
        now_ms=time_ns() // 1_000_000,
    )
    findings = doctors.examine(patient)
    if bundle is not None:
        try:
            doctors.bundle(patient, findings, bundle)
        except OSError as error:
            fail(error, STORE)
    if json_:
        typer.echo(json.dumps(doctors.as_plain(findings), ensure_ascii=False, indent=1))
    else:
        colours = {doctors.State.GOOD: "green", doctors.State.DOUBTFUL: "yellow", doctors.State.BAD: "bold red"}
        marks = {doctors.State.GOOD: "✓", doctors.State.DOUBTFUL: "!", doctors.State.BAD: "✗"}
        console = Console(highlight=False, soft_wrap=True)
        for one in findings:
            console.print(f"{marks[one.state]} ", style=colours[one.state], end="")
            console.print(f"{one.what}: {getattr(one.words, lang.value)}", markup=False)
            if one.mend is not None:
                console.print(f"    {one.mend}", markup=False, style="bold")
    raise typer.Exit(OK if doctors.worst(findings) is not doctors.State.BAD else BAD)


class MachineKind(StrEnum):
    """What a machine is to be."""

    box = "box"
    station = "station"
    gateway = "gateway"


@app.command()
def init(
    out: Annotated[Path, typer.Option("--out", help="Where the site file is to be.")] = Path("/etc/shouwang"),
    kind: Annotated[MachineKind | None, typer.Option(help="What this machine is to be.")] = None,
    answers: Annotated[Path | None, typer.Option(help="A TOML file with answers; nothing is asked.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="One answer; again for more.")
    ] = None,
    from_: Annotated[Path | None, typer.Option("--from", help="What `provision gateway` made for this box.")] = None,
    devices: Annotated[Path, typer.Option(hidden=True)] = Path("/dev"),
    state: StateFolder = None,
    lang: Annotated[Language, typer.Option(help="Chinese or English.")] = Language.zh,
) -> None:
    """Set a machine up: ask a few questions, write the site file and the keys, look, and say what is left to do."""
    import tomllib

    from deploy import check as checking
    from deploy import keys as keyring
    from deploy import wizard

    def say(words: Words) -> str:
        return words.zh if lang is Language.zh else words.en

    def ask(name: str, default: str) -> str:
        return str(typer.prompt(say(wizard.QUESTIONS[name]), default=default, show_default=bool(default), err=True))

    def tell(name: str, why: str) -> None:
        sys.stderr.write(f"{say(wizard.BAD)}{name}: {why}\n")

    quiet, keys = answers is not None or not sys.stdin.isatty(), out / "keys"
    home = state or Path("/var/lib/shouwang/box")
    try:
        given: dict[str, object] = {}
        if answers is not None:
            given |= tomllib.loads(answers.read_text(encoding="utf-8"))
        given |= dict(_pair(one) for one in set_ or ())
        if kind is not None:
            given["kind"] = kind.value
        if from_ is not None:
            given["kind"] = wizard.Kind.GATEWAY.value
        if "kind" not in given and not quiet:
            given["kind"] = ask("kind", wizard.Kind.BOX.value)
        what = wizard.answers_of({"kind": given.get("kind", "box")}).kind
        if what is wizard.Kind.GATEWAY:
            if from_ is None:
                fail(say(FROM_THE_OFFICE), USAGE)
            path, gateway = wizard.adopt(from_, out)
        else:
            ports = wizard.found_ports(devices)
            if quiet:
                said = wizard.answers_of({"ports": ports[:1], **given})
            else:
                sys.stderr.write("".join(f"  {port}\n" for port in ports))
                said = wizard.converse(what, ports, given, ask=ask, tell=tell)
            wrong = [one for one in checking.check_text(wizard.site_text(said)).problems if one.severity == "error"]
            if wrong:
                fail("; ".join(f"{one.place}: {say(Words(one.zh, one.en))}" for one in wrong), USAGE)
            path, gateway = wizard.write(said, out), wizard.GATEWAY
            if what is wizard.Kind.BOX:  # `shouwang box` keeps everything of its own in one folder
                keys = home / "keys"
            made = keyring.provision(checking.load(path), keys)
            for officer, token in made.tokens.items():
                sys.stdout.write(f"{officer}: {token}   (shown once, kept nowhere / 仅显示一次)\n")
    except wizard.WizardError as error:
        fail(say(error.words), USAGE)
    except (ValueError, checking.SiteError, keyring.KeysError) as error:
        fail(error, USAGE)
    except OSError as error:
        fail(error, STORE)
    if what is wizard.Kind.BOX:
        state = home / f"gateway-{gateway}"
    sys.stdout.write(f"{path}\n{say(wizard.next_steps(what, path, gateway, home=home))}\n")
    id_ = None if what is wizard.Kind.STATION else gateway
    doctor(site=path, id=id_, state=state, keys=keys, broker_port=None, port=None, bundle=None,
           json_=False, lang=lang)  # fmt: skip


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        fail(f"{text!r}: NAME=VALUE", USAGE)
    return name, value


@app.command("replace-gateway")
def replace_gateway(
    id: Annotated[str, typer.Argument(help="Which gateway of the site.")],  # noqa: A002
    site: SiteFile,
    out: Annotated[Path, typer.Option("--out", help="A new folder, which is carried to the new box.")],
    ca: CaOption = None,
    keys: KeysFolder = None,
    tls: TlsFolder = None,
    passphrase_file: PassphraseFile = None,
    station: Annotated[str | None, typer.Option(help="The station's address: let it believe the new key now.")] = None,
    token: Annotated[Path | None, typer.Option(help="A file with a token that may do that.")] = None,
) -> None:
    """Let a new box take the place of one whose card died; the old one is believed no more."""
    from datetime import UTC, datetime

    from deploy import check, replacing

    if (station is None) != (token is None):
        fail("--station and --token belong together", USAGE)
    with _provisioning():
        said = None if token is None else token.read_text(encoding="ascii").strip()
        read, now = check.load(site), datetime.now(UTC)
        signs = _authority(ca, passphrase_file, needed=read.broker.mutual)
        done = replacing.replace(
            read,
            site.read_text(encoding="utf-8"),
            id,
            keyring=keys or site.parent / "keys",
            out=out,
            signs=signs,
            now=now,
        )
        _say_made(done.made, signs, tls)
    sys.stdout.write(f"gateway:{id} {done.public}\n")
    sys.stderr.write(AFTER_REPLACING)
    if station is not None and said is not None:
        try:
            replacing.tell(station, said, gateway=id, public=done.public)
        except replacing.NotTold as error:
            fail(f"{error}; the folder is made. Tell the station: PUT {error.url} with this public key", MISSING)


FROM_THE_OFFICE = Words(
    "网关的密钥由机关生成: 请用 --from 指明 shouwang provision gateway 所建的目录",
    "a gateway gets its keys from the office: give the folder of `shouwang provision gateway` by --from",
)
AFTER_REPLACING = """\
Whoever has this folder is this gateway: carry it yourself, put it into /etc/shouwang of the new box, erase the medium.
The station must believe the new key, and the broker must know the new account (docs/operations.md, "A dead card").
拿到此目录就等于拿到这台网关: 专人携带, 拷入新盒子的 /etc/shouwang 后清除介质。旧盒子的密钥和账号已作废。
平台须认可新公钥, 消息服务器须更新账号, 见 docs/operations.md。
"""


BackupPassphrase = Annotated[
    Path | None, typer.Option(help="The backup's passphrase, first line of a file; default: it is asked for.")
]


@app.command()
def backup(
    out: Annotated[Path, typer.Option("--out", help="The folder of backups: another disk, another machine.")],
    state: Annotated[Path, typer.Option("--state", help="A station's, gateway's or box's state folder.")] = Path(
        "/var/lib/shouwang/station"
    ),
    site: Annotated[Path | None, typer.Option("--site", help="The site file, to be kept as well.")] = None,
    keys: KeysFolder = None,
    id: Annotated[str | None, typer.Option("--id", help="Which gateway, if its state folder has another name.")] = None,  # noqa: A002
    passphrase_file: BackupPassphrase = None,
    unprotected: Annotated[
        bool, typer.Option("--unprotected", help="Do not lock it: only onto an encrypted disk.")
    ] = False,
    keep_days: Annotated[int, typer.Option(min=1, max=365, help="Delete older backups there.")] = 30,
    json_: AsJson = False,
) -> None:
    """Keep everything of a station, a gateway or a box in one file, while it runs; and read it again."""
    from datetime import UTC, datetime

    from api.database import DatabaseError
    from api.health.metrics import BACKED_UP
    from api.settings import SettingsError, load
    from deploy import backup as backups
    from deploy.locked import LEAST_CHARS
    from gateway.journal import JournalError

    passphrase = None if unprotected else _passphrase(passphrase_file, new=True, what="the backup")
    if passphrase is not None and len(passphrase) < LEAST_CHARS:
        fail(f"a backup's passphrase has at least {LEAST_CHARS} characters: whoever has the file may try long", USAGE)
    now = datetime.now(UTC)
    try:
        place = backups.find(state, site=site, keys=keys, gateway=id)
        path, manifest = backups.make(place, out, passphrase=passphrase, now=now)
        gone = backups.end_old(out, place, keep_days=keep_days, now=now)
        if place.station is not None:
            (load(place.station / "settings.json").attachments_folder.parent / BACKED_UP).touch()
    except (backups.NothingToKeep, SettingsError) as error:
        fail(error, USAGE)
    except (backups.BackupError, DatabaseError, JournalError, OSError) as error:
        fail(error, STORE)
    if json_:
        said = {"path": str(path), "deleted": [str(one) for one in gone], **json.loads(manifest.as_json())}
        sys.stdout.write(json.dumps(said) + "\n")
        return
    rows = 0 if manifest.tables is None else sum(manifest.tables["rows"].values())
    sys.stdout.write(f"{path}: {path.stat().st_size} bytes, {len(manifest.files)} files, {rows} rows\n")
    for one in gone:
        sys.stdout.write(f"{one}: deleted, older than {keep_days} days / 已删除\n")


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(help="What `shouwang backup` wrote.")],
    state: Annotated[Path, typer.Option("--state", help="Where the station, gateway or box is to keep its state.")],
    site: Annotated[Path | None, typer.Option("--site", help="Where the site file is to be.")] = None,
    keys: KeysFolder = None,
    database: Annotated[
        str | None, typer.Option(envvar="SHOUWANG_DATABASE", help="Of a backup of PostgreSQL: where it goes.")
    ] = None,
    erasures: Annotated[
        Path | None, typer.Option(help="A newer list of erased households than lies in the state folder.")
    ] = None,
    passphrase_file: BackupPassphrase = None,
    replace: Annotated[bool, typer.Option("--replace", help="Give what is there another name.")] = False,
    look: Annotated[bool, typer.Option("--look", help="Only read all of it, and say what it is.")] = False,
    json_: AsJson = False,
) -> None:
    """Bring a station, a gateway or a box back from a backup. Nothing runs meanwhile; nothing is deleted."""
    from datetime import UTC, datetime

    from api.database import DatabaseError, DatabaseInUse
    from deploy import backup as backups
    from deploy import restoring

    target = restoring.Target(state=state, keys=keys, site=site, database=database, erasures=erasures, replace=replace)
    try:
        passphrase = _passphrase(passphrase_file, what="the backup") if backups.is_protected(file) else None
        if look:
            manifest = backups.read(file, passphrase=passphrase)
            sys.stdout.write(manifest.as_json())
            return
        done = restoring.restore(file, target, passphrase=passphrase, now=datetime.now(UTC))
    except (restoring.StillRuns, DatabaseInUse) as error:
        fail(error, MISSING)
    except (restoring.NotEmpty, restoring.Unfit) as error:
        fail(error, USAGE)
    except (backups.BackupError, restoring.RestoreError, DatabaseError, OSError, ValueError) as error:
        fail(error, STORE)
    made = f"{done.manifest.made:%Y-%m-%d %H:%M} UTC"
    if json_:
        from dataclasses import asdict

        said = {
            "made": done.manifest.made.isoformat(),
            "parts": done.parts,
            "aside": done.aside,
            "left": done.left,
            "erasures": done.erasures,
            "revived": None if done.revived is None else [asdict(one) for one in done.revived],
            "chain_ok": done.chain_ok,
        }
        sys.stdout.write(json.dumps(said) + "\n")
    else:
        sys.stdout.write(f"{', '.join(done.parts)}: as of {made}\n")
        for name in done.aside:
            sys.stdout.write(f"{name}: what was there before; delete it when all is well / 原有数据, 确认无误后删除\n")
        if done.manifest.tables is not None:
            sys.stdout.write(AFTER_RESTORE)
            _tell_revived(done)
    if not done.chain_ok:
        sys.stderr.write("shouwang: the record of who did what does not verify: `shouwang audit verify`\n")
    raise typer.Exit(OK if done.chain_ok else BAD)


def _tell_revived(done: "Restored") -> None:
    """Name whoever could come in again, so that somebody ends it again before the station starts to be used."""
    from datetime import UTC, datetime

    from api.audit.words import words_of_action

    if done.revived is None:
        sys.stdout.write(NOBODY_KNOWS_WHAT_ENDED)
    elif done.revived:
        sys.stdout.write("Ended since the backup, and good again; end it again / 备份后已撤销, 现又生效, 请重新撤销:\n")
        for one in done.revived:
            called = words_of_action(one.action)
            at = datetime.fromtimestamp(one.at_ms / 1_000, UTC)
            sys.stdout.write(f"- {one.about}  {called.zh} / {called.en}  {at:%Y-%m-%d %H:%M} UTC\n")


NOBODY_KNOWS_WHAT_ENDED = """\
Accounts, roles, tokens and keys that were ended since the backup are good again, and nothing here says which:
ask whoever ended them, and end them again.
备份后撤销的账号、权限、令牌和密钥现又生效, 此处无法列出, 请向经办人核实并重新撤销。
"""

AFTER_RESTORE = """\
Start it. Gateways tell again by themselves what came since then, as far as they still have it; it opens as late alarms.
By hand: what people did since then (docs/operations.md, "After a restore").
请启动平台。此后的报警由网关自动补报 (列为迟到警情); 此后人工所做的变更须重做, 见 docs/operations.md。
"""


@app.command()
def keys(
    site: Annotated[Path, typer.Argument(help="The site file (docs/site.md).")],
    keys: KeysFolder = None,
    json_: AsJson = False,
) -> None:
    """Make the keys, passwords and tokens that are missing; tokens are shown once."""
    from deploy import check as checking
    from deploy import keys as keyring

    try:
        made = keyring.provision(checking.load(site), keys or site.parent / "keys")
    except (checking.SiteError, keyring.KeysError) as error:
        fail(error, USAGE)
    if json_:
        sys.stdout.write(json.dumps({"added": made.added, "tokens": dict(made.tokens)}) + "\n")
        return
    sys.stdout.writelines(f"+ {name}\n" for name in made.added)
    for officer, token in made.tokens.items():
        sys.stdout.write(f"{officer}: {token}   (shown once, kept nowhere / 仅显示一次)\n")


@app.command()
def box(
    site: SiteFile,
    state: StateFolder = None,
    gpio: Annotated[Gpio | None, typer.Option(help="Use these pins instead of the site's.")] = None,
) -> None:
    """Run a whole site on this machine: broker, station and gateways; whatever ends is started again."""
    import signal
    import threading

    from deploy import check as checking
    from deploy import keys as keyring
    from deploy.box import Box
    from deploy.mosquitto import BrokerError

    stop = threading.Event()
    try:
        read = checking.load(site)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        folder = state or Path("/var/lib/shouwang/box")
        with Box(read, site, folder, http_port=read.station.port, gpio=None if gpio is None else gpio.value) as running:
            for officer, token in running.tokens.items():
                sys.stdout.write(f"{officer}: {token}   (shown once, kept nowhere / 仅显示一次)\n")
            sys.stdout.write(f"http://127.0.0.1:{running.http_port}/healthz\n")
            sys.stdout.flush()
            running.keep_running(stop, lambda line: sys.stderr.write(f"{line}\n"))
    except (checking.SiteError, keyring.KeysError) as error:
        fail(error, USAGE)
    except (BrokerError, OSError) as error:
        fail(error, MISSING)


@app.command()
def watch(
    site: SiteFile,
    who: Annotated[str, typer.Option("--as", help="police, community:c1, grid:w1 or household:h03.")],
    keys: KeysFolder = None,
    broker_port: Annotated[int | None, typer.Option(help="A broker on this machine instead of the site's.")] = None,
    json_: AsJson = False,
    lang: Annotated[Language, typer.Option(help="Chinese or English.")] = Language.zh,
) -> None:
    """Watch what one audience gets, with signatures checked. Only for looking: nothing hangs on it."""
    from deploy import assembly
    from deploy import check as checking
    from deploy import keys as keyring
    from deploy import watch as watching

    try:
        read = checking.load(site)
        folder = keys or site.parent / "keys"
        address = (
            assembly.broker_address(read, state=site.parent)
            if broker_port is None
            else assembly.BrokerAddress(port=broker_port)
        )
        asyncio.run(watching.watch(read, keyring.read(folder), who, address, as_json=json_, language=lang.value))
    except (checking.SiteError, keyring.KeysError, watching.NobodyThere) as error:
        fail(error, USAGE)
    except watching.NoBroker as error:
        fail(error, MISSING)
    except KeyboardInterrupt:
        raise typer.Exit(OK) from None


@app.command()
def bench(
    only: Annotated[list[str] | None, typer.Option(help="Only this chapter; may be given several times.")] = None,
    json_: AsJson = False,
) -> None:
    """Measure the gateway against floors of this machine. Exit code 1 when a bound is missed."""
    try:
        from bench import program
    except ModuleNotFoundError as error:
        if error.name != "bench":
            raise
        fail("bench/ is not part of an installation: run this from a checkout, with `make bench`", MISSING)
    from deploy.mosquitto import MosquittoMissing

    strangers = set(only or ()) - program.CHAPTERS.keys()
    if strangers:
        fail(f"there is no chapter {', '.join(sorted(strangers))}, only {', '.join(program.CHAPTERS)}", USAGE)
    try:
        code = program.run(only=only or (), as_json=json_)
    except MosquittoMissing as error:
        fail(error, MISSING)
    raise typer.Exit(code)


@app.command()
def faults(
    smoke: Annotated[
        bool, typer.Option("--smoke", help="A minute in all, faults of four seconds at the most.")
    ] = False,
    minutes: Annotated[float, typer.Option(min=0.1, help="How long the attack lasts.")] = 10.0,
    seed: Annotated[int | None, typer.Option(help="Make the attack of this seed again.")] = None,
    only: Annotated[
        list[str] | None, typer.Option(help="Only this fault, by name or row; may be given several times.")
    ] = None,
    keep: Annotated[
        Path | None, typer.Option(help="Where everything goes when something is found; else var/faults-SEED.")
    ] = None,
    tier: Annotated[
        list[str] | None, typer.Option(help="Cut power instead: T1, T2, T3 or T4; may be given several times.")
    ] = None,
    size: Annotated[
        int | None, typer.Option(min=1, help="How many cuts, kills of a kind or batches a tier takes.")
    ] = None,
    crowd: Annotated[
        int | None, typer.Option(min=1, max=900, help="Let so many gateways come back at once instead.")
    ] = None,
    backlog: Annotated[
        int, typer.Option(min=1, max=20_000, help="Check-ins that each gateway of a crowd heard meanwhile.")
    ] = 20,
    json_: AsJson = False,
) -> None:
    """Attack a whole village with every fault that this machine can make. Exit code 1 when anything was lost."""
    try:
        from faults import crowd as crowds
        from faults import nemeses, power, program
    except ModuleNotFoundError as error:
        if error.name != "faults":
            raise
        fail("faults/ is not part of an installation: run this from a checkout, with `make faults`", MISSING)
    from secrets import randbits

    from deploy.box import BoxError
    from deploy.mosquitto import BrokerError

    if strangers := [text for text in only or () if not nemeses.called(text)]:
        fail(f"there is no fault {', '.join(strangers)}, only {', '.join(nemeses.NEMESES)}", USAGE)
    if strangers := sorted(set(tier or ()) - power.TIERS.keys()):
        fail(f"there is no tier {', '.join(strangers)}, only {', '.join(power.TIERS)}", USAGE)
    drawn = randbits(32) if seed is None else seed
    try:
        if crowd:
            came = crowds.come_back(gateways=crowd, backlog=backlog, tell=partial(typer.echo, err=True))
            typer.echo(crowds.as_json(came) if json_ else crowds.as_text(came))
            raise typer.Exit(program.UNHURT if came.unhurt else program.HURT)
        if tier:
            tell = partial(typer.echo, err=True)
            tallies = [power.run(one, size=size, seed=drawn, tell=tell) for one in tier]
            typer.echo(power.as_json(tallies, drawn) if json_ else "\n".join(map(power.as_text, tallies)))
            raise typer.Exit(program.UNHURT if all(one.unhurt for one in tallies) else program.HURT)
        report = program.run(
            length_s=program.SMOKE_S if smoke else minutes * 60,
            seed=drawn,
            only=only or (),
            keep=keep or Path("var") / f"faults-{drawn}",
            tell=partial(typer.echo, err=True),
        )
    except (BoxError, BrokerError) as error:
        fail(error, MISSING)
    typer.echo(program.as_json(report) if json_ else program.as_text(report))
    raise typer.Exit(program.UNHURT if report.unhurt else program.HURT)


def main() -> None:
    """Run the command."""
    app()


if __name__ == "__main__":
    main()
