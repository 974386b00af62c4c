"""How does a test get what `aftersale serve` runs, as a process of its own that can be killed?"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from aftersale.bootstrap import init, open_app
from aftersale.events.event import Entry
from aftersale.programme.api_keys import INGEST, SECRET, make_key
from aftersale.settings import Settings, at_home


class Server:
    """The server of a home, or of the database of an address; `start` and `kill` at will."""

    def __init__(self, folder: Path, database: str = "") -> None:
        self.settings = Settings(home=folder)
        if database:
            self.settings = at_home(self.settings, database)
        app, _ = init(self.settings)
        self.keys = {}
        with app.store.write() as tx:
            for n, kind in enumerate((INGEST, SECRET)):
                text, kept = make_key(bytes([n] * 20), kind=kind, name="", shop="main", now=n)
                tx.api_keys.add(kept)
                self.keys[kind] = text
        app.store.close()
        self.url = self.sign_in = ""
        self._home = database or str(folder)
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Serve on a free port; returns when it listens."""
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "aftersale",
                "--home",
                self._home,
                "serve",
                "--port",
                "0",
                "--json",
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout is not None
        told = json.loads(self._process.stdout.readline())["data"]
        self.url, self.sign_in = told["url"], told["sign_in"]

    def end(self, how: int = signal.SIGTERM) -> int:
        """Ask it to end, or kill it; its exit code."""
        process, self._process = self._process, None
        if process is None:
            return 0
        os.kill(process.pid, how)
        code = process.wait(30)
        assert process.stdout is not None
        process.stdout.close()
        return code

    def entries(self) -> list[Entry]:
        """What is in the ledger."""
        app = open_app(self.settings)
        try:
            with app.store.read() as tx:
                return tx.ledger.read(0, 1_000_000)
        finally:
            app.store.close()

    def number(self) -> int:
        """How many entries are in the ledger."""
        app = open_app(self.settings)
        try:
            return int(app.store.describe()["rows"]["events"])
        finally:
            app.store.close()

    def personal(self, entry: Entry) -> dict[str, object]:
        """What an entry tells that names people."""
        app = open_app(self.settings)
        try:
            with app.store.read() as tx:
                return tx.personal.of_events([entry.position])[entry.position]
        finally:
            app.store.close()
