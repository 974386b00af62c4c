"""How does a test get a PostgreSQL server of its own, and be rid of it afterwards?

A server in a temporary folder that listens on a socket in that folder only. Where this process is
root, the server runs as another user, for it refuses to run as root.
"""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import psycopg

_PLACES = ("/usr/lib/postgresql", "/usr/pgsql", "/opt/homebrew/opt", "/usr/local/pgsql")
_UNPRIVILEGED = ("postgres", "nobody")
_PATIENCE = 30.0
"""Seconds for a server to start."""


class NoServer(Exception):
    """There is no PostgreSQL here that could be started; the text says why."""


def binaries() -> Path:
    """The folder of `initdb` and `postgres`, the newest there is; NoServer where there is none."""
    found = [path.parent for place in _PLACES for path in Path(place).glob("*/bin/initdb")]
    on_path = shutil.which("initdb")
    if on_path:
        found.append(Path(on_path).resolve().parent)
    whole = [folder for folder in found if (folder / "postgres").exists()]
    if not whole:
        raise NoServer("PostgreSQL's server programs (initdb, postgres) are not installed")
    return max(
        whole, key=lambda folder: [int(n) for n in folder.parent.name.split(".") if n.isdigit()]
    )


def _other_user() -> int | None:
    """Whom the server runs as where this process is root; None where it is not."""
    if os.geteuid() != 0:
        return None
    for name in _UNPRIVILEGED:
        try:
            return pwd.getpwnam(name).pw_uid
        except KeyError:
            continue
    raise NoServer("PostgreSQL refuses to run as root, and there is no other user to run it")


class PostgresServer:
    """One server; `start` and `stop` as often as a test wants."""

    def __init__(
        self,
        *,
        settings: Sequence[str] = ("fsync=off", "full_page_writes=off"),
        password: str = "",
        within: Path | None = None,
    ) -> None:
        """Make the folder of a new cluster, in the folder `within` where one is named.

        `settings` are lines of its configuration. With a password it is asked for; without one
        everybody is let in.
        """
        self._password = password
        self._binaries = binaries()
        self._user = _other_user()
        self._folder = Path(tempfile.mkdtemp(prefix="aftersale-pg-", dir=within))
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        if self._user is not None:
            os.chown(self._folder, self._user, -1)
        try:
            asked = ["--auth=trust"]
            if password:
                secret = self._folder / "password"
                secret.write_text(password, encoding="utf-8")
                secret.chmod(0o644)
                asked = ["--auth=scram-sha-256", f"--pwfile={secret}"]
            self._run(
                "initdb", "--no-sync", "--username=aftersale", "--encoding=UTF8", "--locale=C",
                f"--pgdata={self._folder / 'data'}", *asked,
            )  # fmt: skip
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise

    def start(self) -> None:
        """Start it, and wait until it answers."""
        settings = [
            "listen_addresses=", f"unix_socket_directories={self._folder}", "max_connections=60",
            "shared_buffers=256MB", "max_wal_size=4GB", *self._settings,
        ]  # fmt: skip
        options = [part for setting in settings for part in ("-c", setting)]
        log = (self._folder / "log").open("ab")
        with log:
            self._process = subprocess.Popen(
                [self._binaries / "postgres", "-D", self._folder / "data", *options],
                user=self._user,
                cwd=self._folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                psycopg.connect(self.address("postgres")).close()
            except psycopg.OperationalError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise NoServer((self._folder / "log").read_text(errors="replace")) from None
                time.sleep(0.05)
            else:
                return

    @property
    def is_running(self) -> bool:
        """Whether it is there; after a grave fault it goes of its own accord."""
        return self._process is not None and self._process.poll() is None

    def stop(self, *, abruptly: bool = False) -> None:
        """Stop it; abruptly as in a crash: what was not committed is gone."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGQUIT if abruptly else signal.SIGINT)
        self._process.wait(_PATIENCE)
        self._process = None

    def remove(self) -> None:
        """Stop it and delete its folder."""
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def address(self, database: str, *, schema: str = "") -> str:
        """The address of one of its databases, or of a schema in it."""
        options = f"&options={quote(f'-csearch_path={schema}')}" if schema else ""
        who = f"aftersale:{quote(self._password)}" if self._password else "aftersale"
        host = quote(str(self._folder), safe="")
        return f"postgresql://{who}@/{database}?host={host}{options}"

    def new_schema(self, name: str) -> str:
        """The address of a new, empty schema."""
        with psycopg.connect(self.address("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE SCHEMA "{name}"')
        return self.address("postgres", schema=name)

    def new_database(self, name: str, *, like: str = "") -> str:
        """The address of a new database, a copy of another one where that is named."""
        with psycopg.connect(self.address("postgres"), autocommit=True) as connection:
            template = f' TEMPLATE "{like}"' if like else ""
            connection.execute(f'CREATE DATABASE "{name}"{template}'.encode())
        return self.address(name)

    def drop_database(self, name: str) -> None:
        """Delete a database, whoever is connected to it."""
        with psycopg.connect(self.address("postgres"), autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())

    def drop_schema(self, name: str) -> None:
        """Delete a schema with everything in it."""
        with psycopg.connect(self.address("postgres"), autocommit=True) as connection:
            connection.execute("SET client_min_messages = warning")
            connection.execute(f'DROP SCHEMA "{name}" CASCADE')

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [self._binaries / program, *arguments],
            user=self._user,
            cwd=self._folder,
            capture_output=True,
            check=False,
        )
        if done.returncode:
            raise NoServer(done.stderr.decode(errors="replace").strip())
