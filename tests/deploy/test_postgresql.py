"""A PostgreSQL of our own: made, started, ended by its process id, and never as root."""

import os
import pwd
import select
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from deploy import postgresql
from deploy.mosquitto import free_port
from deploy.postgresql import ClusterDied, ClusterError, PostgresqlMissing, PrivateCluster
from deploy.stage import example


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where the user that PostgreSQL runs as can go; pytest's own folders are closed to him."""
    made = Path(tempfile.mkdtemp(prefix="shouwang-"))
    made.chmod(0o711)
    yield made
    shutil.rmtree(made)


def dsn(url: str) -> str:
    return url.replace("postgresql+psycopg://", "postgresql://", 1)


def ask(url: str, sql: str) -> object:
    with psycopg.connect(dsn(url)) as connection:
        row = connection.execute(sql.encode()).fetchone()
    assert row is not None
    return row[0]


def test_it_answers_on_its_socket_and_over_the_loopback_with_its_password(folder: Path) -> None:
    with PrivateCluster(folder / "cluster") as cluster:
        for url in (cluster.socket_url(), cluster.url()):
            assert ask(url, "SHOW fsync") == "on"
        assert ask(cluster.url(), "SHOW listen_addresses") == "127.0.0.1"
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(dsn(cluster.url()).replace("@", "x@"))
    assert not cluster.running


def test_its_files_and_its_process_are_nobody_elses(folder: Path) -> None:
    with PrivateCluster(folder / "cluster") as cluster:
        wanted = os.geteuid() or pwd.getpwnam("postgres").pw_uid
        assert Path(f"/proc/{cluster.pid}").stat().st_uid == wanted
        assert cluster.directory.stat().st_mode & 0o777 == 0o700
        assert cluster.directory.stat().st_uid == wanted


def test_what_was_committed_is_there_after_a_crash_on_the_same_port_with_the_same_password(folder: Path) -> None:
    with PrivateCluster(folder / "cluster") as cluster:
        with psycopg.connect(dsn(cluster.url())) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 7 AS n")
        url, pid = cluster.url(), cluster.pid
        cluster.kill()
        assert not Path(f"/proc/{pid}").exists()
        cluster.start()
        assert cluster.url() == url
        assert ask(url, "SELECT n FROM kept") == 7
    with PrivateCluster(folder / "cluster") as again:  # another program, later
        assert ask(again.url(), "SELECT n FROM kept") == 7


def test_it_ends_with_us_whatever_ends_us(folder: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from deploy.postgresql import PrivateCluster\n"
        "cluster = PrivateCluster(Path(sys.argv[1])); cluster.start(); print(cluster.pid, flush=True); time.sleep(60)"
    )
    ours = subprocess.Popen([sys.executable, "-c", script, str(folder / "cluster")], stdout=subprocess.PIPE, text=True)
    assert ours.stdout is not None
    pid = int(ours.stdout.readline())
    watched = os.pidfd_open(pid)
    ours.kill()
    ours.wait()
    ours.stdout.close()
    poll = select.poll()
    poll.register(watched)
    assert poll.poll(20_000), "PostgreSQL outlived us"
    os.close(watched)


def test_a_folder_that_its_user_cannot_reach_is_named(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root runs it as somebody else")
    tmp_path.chmod(0o700)
    with pytest.raises(ClusterError, match="lets postgres not pass"):
        PrivateCluster(tmp_path / "cluster").start()


def test_a_folder_whose_name_is_too_long_for_a_socket_is_refused(folder: Path) -> None:
    with pytest.raises(ClusterError, match="too long a name"):
        PrivateCluster(folder / ("x" * 100)).start()


def test_why_it_did_not_start_is_said(folder: Path) -> None:
    cluster = PrivateCluster(folder / "cluster")
    cluster.start()
    cluster.stop()
    (cluster.directory / "data" / "postgresql.conf").write_text("nonsense = 1\n")
    with pytest.raises(ClusterDied, match="nonsense"):
        cluster.start()


def test_what_to_install_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgresql, "DEBIAN", folder / "none")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(PostgresqlMissing, match="apt-get install postgresql"):
        PrivateCluster(folder / "cluster").start()


@pytest.mark.timeout(180)  # three programs start, one after another
def test_a_station_of_a_site_file_runs_on_it_by_one_setting(folder: Path, tmp_path: Path) -> None:
    """Over the loopback with its password; its first secret lies in its own folder, and no file with tables."""
    site, state = tmp_path / "site.toml", tmp_path / "state"
    village = example("village.toml").read_text("utf-8")
    site.write_text(village.replace("[station]\n", f"[station]\nport = {free_port()}\n"), "utf-8")
    shouwang = [sys.executable, "-m", "deploy.cli"]
    subprocess.run([*shouwang, "keys", str(site), "--keys", str(tmp_path / "keys")], check=True, capture_output=True)
    command = [*shouwang, "station", "--site", str(site), "--keys", str(tmp_path / "keys"), "--state", str(state)]
    with PrivateCluster(folder / "cluster") as cluster:
        environment = {**os.environ, "SHOUWANG_DATABASE": cluster.url()}
        station = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
        assert station.stderr is not None
        said = ""
        with station.stderr as log:
            for line in log:
                said += line
                if '"station.ready"' in line:
                    station.terminate()
        assert station.wait() == 0, said
        assert '"station.ready"' in said
        assert ask(cluster.url(), 'SELECT count(*) FROM "station-north".station') == 1
    left = {path.name for path in state.iterdir()}
    assert "first-administrator.txt" in left
    assert not any(name.endswith(".db") for name in left)
