"""Does every command answer people and programs, and say by its exit code how it went?"""

import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
import typer

from aftersale.adapters.storage.postgres.store import PostgresStore
from aftersale.adapters.storage.sqlite.store import SqliteStore
from aftersale.bootstrap import STORE, open_app
from aftersale.cli import app as command_line
from aftersale.cli import run
from aftersale.cli.answer import Here
from aftersale.cli.serving import _listen
from aftersale.kernel.instants import DAY, WEEK
from aftersale.runtime import parallel
from aftersale.settings import Settings
from aftersale.testing.postgres_server import PostgresServer, binaries
from aftersale.testing.storage_examples import new_send

Said = tuple[int, dict[str, Any]]
Ask = Callable[..., Said]
ROOT = Path(__file__).parents[2]
HEAVY = ("duckdb", "ibis", "pyarrow", "rich", "starlette", "sqlglot", "numpy", "uvicorn")


def process(*words: str | Path, home: Path, **more: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "aftersale", "--home", str(home), *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **more,
    )


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


# --- every command, for programs -----------------------------------------------------------

READING = [
    ("version",),
    ("verify",),
    ("replay",),
    pytest.param(("backtest",), marks=pytest.mark.slow),
    pytest.param(("backtest", "refill", "--reactions", "drawn"), marks=pytest.mark.slow),
    ("explain", "--customer", "ada"),
    ("journeys", "list"),
    ("journeys", "show", "refill"),
    ("journeys", "validate"),
    ("segments", "list"),
    ("segments", "count"),
    ("templates", "check"),
    ("deployments",),
    ("deploy", "--dry-run"),
    ("mode",),
    ("live", "--dry-run"),
    ("doctor",),
    ("db", "status"),
    ("db", "migrate"),
    ("erase", "ada", "--dry-run"),
    ("config", "show"),
    ("sign-in",),
    ("value",),
]


@pytest.mark.parametrize("words", READING, ids=" ".join)
def test_a_reading_command_answers_with_one_object(
    filled: Path, ask: Ask, words: tuple[str, ...]
) -> None:
    code, answer = ask("--home", filled, *words)
    assert (code, answer["ok"]) == (0, True), answer


def test_common_options_stand_before_or_after_the_command(
    filled: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = []
    for words in (
        ["--home", str(filled), "--json", "mode"],
        ["mode", "--json", "--home", str(filled)],
    ):
        assert run(words) == 0
        said.append(capsys.readouterr().out)
    assert said[0] == said[1]


def test_in_a_pipe_a_table_is_separated_by_tabs(
    filled: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["--home", str(filled), "verify"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "rule\tviolations"
    assert all(line.count("\t") == 1 for line in lines[:-1])
    assert lines[-1] == "All hold."


def test_help_reads_nothing_heavy() -> None:
    code = (
        "import sys; from aftersale.cli import run; run(['--help']);"
        f"print([n for n in {HEAVY} if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


# --- what goes wrong ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("imprt",), 2, "Did you mean 'import'?"),
        (("journeys", "shw", "refill"), 2, "Did you mean 'show'?"),
        (("mode", "--jso"), 2, "--json"),
        (("journeys", "show", "refil"), 1, "did you mean 'refill'?"),
        (("journeys", "pause", "refil"), 1, "did you mean 'refill'?"),
        (("backtest", "win-bak"), 1, "did you mean 'win-back'?"),
        (("segments", "count", "segment.regulr"), 1, "did you mean 'segment.regular'?"),
        (("backtest", "--reactions", "drwn"), 2, "did you mean 'drawn'?"),
        (("backtest", "--from", "2026-06-01", "--to", "2026-05-01"), 2, "before it begins"),
        (("replay", "--drop", "soon"), 2, "--drop"),
        (("replay", "--set", "17"), 2, "17.rating=1"),
        (("replay", "--policy", "holdot=0.2"), 2, "holdout"),
        (("import", "events", "past.jsonl", "--zone", "Europe/Berln"), 2, "no time zone"),
        (("import", "orders", "absent.csv"), 1, "there is no file"),
        (("explain",), 2, "name a decision or a customer"),
        (("explain", "forty-two"), 2, "42-7"),
        (("explain", "1-99999"), 1, "there is no decision"),
        (("explain", "--customer", "nobody@example.com"), 1, "no customer is known"),
        (("worker", "--until", "2020-01-01"), 1, "cannot be driven back"),
        (("worker", "--until", "soon"), 1, "is no time"),
        (("worker", "--once", "--until", "2030-01-01"), 2, "exclude each other"),
        (("demo", "--size", "xl"), 2, "choose s, m or l"),
        (("test",), 1, "no address is listed"),
        (("live",), 4, "live --yes"),
        (("erase", "ada"), 4, "erase ada --yes"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_mistake_is_told_with_what_to_do(
    filled: Path, ask: Ask, words: tuple[str, ...], code: int, told: str
) -> None:
    found, answer = ask("--home", filled, *words)
    assert found == code
    assert set(answer["error"]) == {"what", "where", "why", "hint"}
    assert told in " ".join(answer["error"].values())


def test_where_no_store_is_the_way_to_one_is_named(tmp_path: Path, ask: Ask) -> None:
    code, answer = ask("--home", tmp_path, "doctor")
    assert code == 1
    assert "init" in answer["error"]["hint"]


def test_a_store_of_a_newer_program_is_left_alone(home: Path, ask: Ask) -> None:
    with sqlite3.connect(home / "aftersale.db") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    code, answer = ask("--home", home, "verify")
    assert code == 1
    assert "newer aftersale" in answer["error"]["what"]


def test_a_store_that_another_process_writes_is_told_so(
    home: Path, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AFTERSALE_LOCK_SECONDS", "0.1")
    connection = sqlite3.connect(home / "aftersale.db", isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    try:
        code, answer = ask("--home", home, "stop")
    finally:
        connection.close()
    assert code == 1
    assert "in use by another process" in answer["error"]["what"]
    assert answer["error"]["hint"]


def test_a_wrong_setting_is_named_by_its_variable(
    filled: Path, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AFTERSALE_PORT", "eighty")
    code, answer = ask("--home", filled, "mode")
    assert code == 2
    assert "AFTERSALE_PORT" in answer["error"]["where"]


def test_a_trace_is_kept_in_a_file_and_only_when_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["--home", str(tmp_path), "mode"]) == 1
    assert "Traceback" not in capsys.readouterr().err
    assert run(["--home", str(tmp_path), "mode", "--debug"]) == 1
    told = capsys.readouterr().err
    path = Path(told.rpartition("the trace is in ")[2].strip().rstrip(")"))
    assert "Traceback" not in told
    assert "Refusal" in path.read_text(encoding="utf-8")
    path.unlink()


# --- making and filling a home --------------------------------------------------------------


def test_init_can_be_run_again_and_keeps_what_is_there(tmp_path: Path, ask: Ask) -> None:
    code, first = ask("init", tmp_path / "shop")
    edit(tmp_path / "shop" / "policies.yaml", "holdout: 0.05", "holdout: 0.2")
    again, second = ask("init", tmp_path / "shop")
    assert (code, again) == (0, 0)
    assert "journeys/refill.yaml" in first["data"]["files"]
    assert (first["data"]["mode"], second["data"]["files"]) == ("rehearse", [])
    assert "holdout: 0.2" in (tmp_path / "shop" / "policies.yaml").read_text(encoding="utf-8")


ORDERS = "order,date,customer,product,quantity,price\n" + "".join(
    f"{n},2026-01-{n:02d} 10:00,c{n % 3},coffee,1,9.90\n" for n in range(1, 10)
)
MAPPING = """source = "file"
zone = "Europe/Berlin"
currency = "EUR"
[columns]
order = "order"
at = "date"
customer = "customer"
product = "product"
quantity = "quantity"
price = "price"
"""


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "orders.csv").write_text(ORDERS + "10,never,c1,coffee,1,9.90\n", encoding="utf-8")
    (tmp_path / "orders.toml").write_text(MAPPING, encoding="utf-8")
    assert run(["init", str(tmp_path / "shop")]) == 0
    return tmp_path


def test_an_import_accounts_for_every_row_and_repeats_nothing(files: Path, ask: Ask) -> None:
    """Also: a dry run keeps nothing, and rejected rows are written down when asked."""
    words = ("--home", files / "shop", "import", "orders", files / "orders.csv")
    rejects = files / "rejects.csv"
    _, dry = ask(*words, "--dry-run")
    code, first = ask(*words, "--rejects", rejects)
    _, again = ask(*words)
    strict, _ = ask(*words, "--strict")
    data = first["data"]
    assert (code, strict) == (0, 3)
    assert data["rows"] == data["used"] + data["rejected"] + data["ignored"] == 10
    assert (data["rejected"], dry["data"]["new"], data["new"]) == (1, 0, 9)
    assert again["data"]["new"] == data["new"]
    assert "never" in rejects.read_text(encoding="utf-8")
    assert any("--rejects" in warning or "rejects" in warning for warning in first["warnings"])
    assert any("[consent]" in warning for warning in first["warnings"])


def test_a_consent_that_is_named_is_taken_in(files: Path, ask: Ask) -> None:
    words = ("--home", files / "shop", "import", "orders", files / "orders.csv", "--consent")
    code, wrong = ask(*words, "maybe")
    assert code == 2
    assert "soft-opt-in:email" in wrong["error"]["hint"]
    _, answer = ask(*words, "soft-opt-in")
    assert answer["data"]["new"] == 9 + 3
    assert not any("[consent]" in warning for warning in answer["warnings"])


def test_a_file_without_a_mapping_says_what_is_missing(files: Path, ask: Ask) -> None:
    (files / "orders.toml").unlink()
    code, answer = ask("--home", files / "shop", "import", "orders", files / "orders.csv")
    assert code == 2
    assert "--map" in answer["error"]["hint"]


# --- working --------------------------------------------------------------------------------


def test_the_clock_goes_on_from_where_it_stands(home: Path, ask: Ask) -> None:
    code, answer = ask("--home", home, "worker", "--until", "2026-07-02")
    assert code == 0
    assert answer["data"]["clock"] == "2026-07-02T00:00:00Z"
    assert set(answer["data"]) == {"events", "decisions", "sends", "dropped", "turns", "clock"}


def test_what_going_live_shows_is_what_the_worker_then_does(home: Path, ask: Ask) -> None:
    _, shown = ask("--home", home, "live", "--dry-run")
    day, week = shown["data"]["projections"]
    assert (day["within"], week["within"]) == (DAY, WEEK)
    assert day["messages"] <= week["messages"] > 0
    _, one = ask("--home", home, "worker", "--until", "2026-07-01")
    _, rest = ask("--home", home, "worker", "--until", "2026-07-07")
    done = [sum(answer["data"][word] for word in ("sends", "dropped")) for answer in (one, rest)]
    assert (day["messages"], week["messages"]) == (done[0], sum(done))


def test_a_store_whose_clock_was_driven_goes_on_with_the_machines(home: Path, ask: Ask) -> None:
    code, answer = ask("--home", home, "worker", "--once")
    assert code == 0
    assert any("the machine's" in warning for warning in answer["warnings"])
    code, again = ask("--home", home, "worker", "--once")
    assert (code, again["warnings"]) == (0, [])


def test_a_live_worker_ends_cleanly_when_asked_to(tmp_path: Path) -> None:
    assert run(["init", str(tmp_path)]) == 0
    worker = process("worker", "--json", home=tmp_path)
    assert worker.stderr is not None
    assert "working" in worker.stderr.readline()
    worker.send_signal(signal.SIGTERM)
    out, _ = worker.communicate(timeout=20)
    assert worker.returncode == 0
    assert msgspec.json.decode(out)["ok"]


def last_turn(home: Path) -> int:
    store = open_app(Settings(home=home)).store
    with store.read() as tx:
        last = tx.journal.last()
    store.close()
    return last.turn if last else 0


@pytest.mark.slow
def test_ctrl_c_stops_a_driven_worker_after_the_turn_and_it_can_go_on(home: Path) -> None:
    begun = last_turn(home)
    worker = process("worker", "--until", "2040-01-01", "--json", home=home)
    while last_turn(home) == begun and worker.poll() is None:
        time.sleep(0.02)
    worker.send_signal(signal.SIGINT)
    _, err = worker.communicate(timeout=20)
    if worker.returncode != 0:  # a very fast machine is done already
        assert worker.returncode == 130, err
    assert "Traceback" not in err
    verify = process("verify", home=home)
    verify.communicate(timeout=20)
    assert verify.returncode == 0


# --- checking -------------------------------------------------------------------------------


def test_replay_and_verify_fail_where_the_record_was_changed(home: Path, ask: Ask) -> None:
    with sqlite3.connect(home / "aftersale.db") as connection:
        connection.execute(
            "DELETE FROM decisions WHERE number = (SELECT max(number) FROM decisions)"
        )
    connection.close()
    code, replayed = ask("--home", home, "replay")
    assert (code, replayed["data"]["differences"]) == (1, 1)
    assert replayed["data"]["digest"] != replayed["data"]["stored_digest"]
    code, verified = ask("--home", home, "verify")
    assert code == 1
    assert verified["data"]["checks"]["numbered"] == 1


def test_an_altered_replay_shows_what_would_differ(filled: Path, ask: Ask) -> None:
    code, answer = ask("--home", filled, "replay", "--policy", "holdout=0.9")
    assert code == 0
    assert answer["data"]["differences"] > 0
    assert answer["data"]["examples"]
    code, same = ask("--home", filled, "replay")
    assert (code, same["data"]["differences"]) == (0, 0)
    assert same["data"]["digest"] == same["data"]["stored_digest"]


def test_an_event_can_be_left_out_or_changed_in_a_replay(filled: Path, ask: Ask) -> None:
    with open_app(Settings(home=filled)).store.read() as tx:
        order = next(
            e for e in tx.ledger.read(0, 100_000) if e.type == "order.completed" and not e.history
        )
    _, without = ask("--home", filled, "replay", "--drop", order.position)
    assert without["data"]["differences"] > 0
    code, wrong = ask("--home", filled, "replay", "--set", f"{order.position}.totl=1")
    assert code == 2
    assert "'total'" in wrong["error"]["hint"]
    code, _ = ask("--home", filled, "replay", "--set", f"{order.position}.total=1")
    assert code == 0


@pytest.mark.slow
def test_a_backtest_is_the_same_in_one_process_or_two(
    filled: Path, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, one = ask("--home", filled, "backtest", "--processes", "1")
    monkeypatch.setattr(parallel, "WORTH_SPLITTING", 0)
    _, two = ask("--home", filled, "backtest", "--processes", "2")
    assert one["data"] == two["data"]
    assert one["data"]["messages"] > 0


@pytest.mark.slow
def test_a_draft_is_tried_without_being_deployed(home: Path, tmp_path: Path, ask: Ask) -> None:
    edit(home / "policies.yaml", "holdout: 0.05", "holdout: 0.9")
    _, now = ask("--home", home, "backtest")
    _, draft = ask("--home", home, "backtest", "--draft", home)
    _, listed = ask("--home", home, "deployments")
    assert draft["data"]["held_out"] > now["data"]["held_out"]
    assert len(listed["data"]) == 2


def test_doctor_says_in_its_last_line_what_to_do_first(home: Path, ask: Ask) -> None:
    code, well = ask("--home", home, "doctor")
    assert (code, well["data"]["last_line"]) == (0, "Ready.")
    ask("--home", home, "stop")
    code, stopped = ask("--home", home, "doctor")
    assert code == 1
    assert stopped["data"]["last_line"].startswith("1 problem stops sending. Fix first: aftersale")


# --- the programme --------------------------------------------------------------------------


@pytest.mark.slow
def test_a_deploy_shows_the_difference_and_needs_a_yes(home: Path, ask: Ask) -> None:
    edit(home / "policies.yaml", "holdout: 0.05", "holdout: 0.2")
    on = ("--home", home, "deploy")
    _, dry = ask(*on, "--dry-run")
    code, refused = ask(*on)
    assert (code, refused["error"]["hint"]) == (4, f"aftersale --home {home} deploy --yes")
    done, deployed = ask(*on, "--yes")
    _, again = ask(*on, "--yes")
    assert (done, deployed["data"]["version"]) == (0, 3)
    assert dry["data"]["changes"] == deployed["data"]["changes"] != []
    assert [len(dry["data"][word]) for word in ("before", "after")] == [2, 2]
    assert (dry["data"]["deployed"], again["data"]["deployed"]) == (False, False)


def test_mistakes_in_the_programme_are_listed_with_their_lines(home: Path, ask: Ask) -> None:
    edit(home / "journeys" / "refill.yaml", "send: refill-reminder", "send: refil-reminder")
    code, answer = ask("--home", home, "journeys", "validate")
    (mistake,) = answer["data"]["mistakes"]
    assert code == 1
    assert (mistake["file"], mistake["line"] > 1) == ("journeys/refill.yaml", True)
    assert "refill-reminder" in mistake["hint"] + mistake["what"]
    code, answer = ask("--home", home, "deploy", "--yes")
    assert code == 1
    assert "journeys/refill.yaml" in answer["error"]["what"]


@pytest.mark.slow
def test_a_pause_outlives_a_deploy_and_ends_with_resume(home: Path, ask: Ask) -> None:
    _, paused = ask("--home", home, "journeys", "pause", "refill")
    edit(home / "policies.yaml", "holdout: 0.05", "holdout: 0.2")
    ask("--home", home, "deploy", "--yes")
    _, listed = ask("--home", home, "journeys", "list")
    _, resumed = ask("--home", home, "journeys", "resume", "refill")
    _, after = ask("--home", home, "journeys", "list")
    assert [row["name"] for row in listed["data"] if row["paused"]] == ["refill"]
    assert not any(row["paused"] for row in after["data"])
    assert paused["data"]["changed"]
    assert resumed["data"]["changed"]
    assert paused["next"] == [f"aftersale --home {home} journeys resume refill"]


# --- going live -----------------------------------------------------------------------------


def test_going_live_takes_the_busiest_hours_of_the_backtest_along(home: Path, ask: Ask) -> None:
    code, answer = ask("--home", home, "live", "--yes")
    assert code == 0
    assert any("mailbox" in warning for warning in answer["warnings"])
    with open_app(Settings(home=home)).store.read() as tx:
        assert tx.meta.get("mode") == "live"
        assert tx.meta.get("expected_hour") == tx.meta.get("backtest")["busiest_hour"] != {}
    _, stopped = ask(*answer["next"][0].removeprefix("aftersale ").split())
    assert stopped["data"] == {"mode": "stopped", "before": "live"}


@pytest.mark.slow
def test_a_test_writes_to_listed_addresses_only(home: Path, ask: Ask) -> None:
    edit(home / "aftersale.toml", "addresses = []", 'addresses = ["You@Example.com"]')
    ask("--home", home, "deploy", "--yes")
    code, _ = ask("--home", home, "test")
    assert code == 0
    with open_app(Settings(home=home)).store.read() as tx:
        assert tx.meta.get("test_addresses") == ["you@example.com"]


def test_a_port_in_use_gives_way_to_the_next_free_one(filled: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        here = Here(Settings(home=filled), json=True, debug=False)
        with _listen(here, "127.0.0.1", port) as found:
            assert found.getsockname()[1] > port
        assert f"port {port} is in use" in here.warnings[0]


# --- keeping and forgetting -----------------------------------------------------------------


def test_a_restored_backup_is_stopped(home: Path, tmp_path: Path, ask: Ask) -> None:
    _, made = ask("--home", home, "db", "backup", tmp_path / "kept.db")
    again, _ = ask("--home", home, "db", "backup", tmp_path / "kept.db")
    refused, told = ask("--home", home, "db", "restore", tmp_path / "kept.db")
    code, answer = ask("--home", home, "db", "restore", tmp_path / "kept.db", "--yes")
    _, mode = ask("--home", home, "mode")
    assert (again, refused, code) == (1, 4, 0)
    assert told["error"]["hint"].endswith("kept.db --yes")
    assert made["data"]["position"] == answer["data"]["position"] > 0
    assert mode["data"]["mode"] == "stopped"
    assert any("stopped" in warning for warning in answer["warnings"])


@pytest.mark.slow
def test_a_database_put_back_by_its_own_tools_is_stopped_when_that_is_said(
    tmp_path: Path, database: str, database_server: PostgresServer
) -> None:
    """What waited when the dump was made, or went out since, is in doubt and not sent again."""

    def ask(*words: str | Path) -> Said:
        with process(*words, "--json", home=tmp_path, env={"AFTERSALE_DATABASE": database}) as told:
            out, _ = told.communicate()
        return told.returncode, msgspec.json.decode(out)

    assert ask("init", tmp_path / "shop")[0] == 0
    store = PostgresStore(database)
    with store.write() as tx:
        tx.meta.set("mode", "live")
        tx.outbox.put([new_send("waits"), new_send("went"), new_send("claimed", status="claimed")])
    schema = parse_qs(urlsplit(database).query)["options"][0].rpartition("=")[2]
    dump = tmp_path / "kept.dump"
    tools, address = binaries(), database_server.address("postgres")
    subprocess.run(
        [tools / "pg_dump", "-Fc", f"--schema={schema}", f"--file={dump}", address], check=True
    )
    with store.write() as tx:
        tx.outbox.move("went", "claimed", 1)
        tx.outbox.move("went", "sent", 2)
    store.close()
    subprocess.run(
        [tools / "pg_restore", "--clean", "--if-exists", f"--dbname={address}", dump], check=True
    )
    for command in ("backup", "restore"):
        code, answer = ask("db", command, tmp_path / "file")
        assert (code, "PostgreSQL" in answer["error"]["why"]) == (1, True)
        assert "pg_" in answer["error"]["hint"]
    code, answer = ask("db", "restored")
    assert (code, answer["error"]["hint"]) == (4, "aftersale db restored --yes")
    code, answer = ask("db", "restored", "--yes")
    assert (code, answer["data"]["unknown"]) == (0, 3)
    store = PostgresStore(database)
    with store.read() as tx:
        assert tx.meta.get("mode") == "stopped"
        assert {send.reason for send in tx.outbox.in_state("unknown")} == {"restored"}
    store.close()


def test_a_store_with_a_worker_at_work_was_not_restored(home: Path, ask: Ask) -> None:
    store = SqliteStore(home / STORE)
    store.lease("ada", 60.0)
    code, answer = ask("--home", home, "db", "restored", "--yes")
    assert (code, answer["error"]["hint"]) == (1, "stop it first")
    store.release("ada")
    assert ask("--home", home, "mode")[1]["data"]["mode"] == "rehearse"
    store.close()


def test_an_erased_person_is_gone_everywhere_and_does_not_come_back(home: Path, ask: Ask) -> None:
    _, dry = ask("--home", home, "erase", "ada", "--dry-run")
    code, answer = ask("--home", home, "erase", "ada", "--yes")
    assert code == 0
    assert dry["data"]["changed"]["personal"] == answer["data"]["changed"]["personal"] > 0
    assert set(answer["data"]["left"].values()) == {0}
    code, _ = ask("--home", home, "explain", "--customer", "ada")
    assert code == 1
    known = home / "again.jsonl"
    order = {
        "id": "again-1",
        "type": "order.completed",
        "at": "2026-06-29T12:00:00Z",
        "shop": "main",
        "customer": {"id": "ada", "email": "ada.lovelace17@example.com", "name": "Ada"},
        "data": {"order": "again-1", "currency": "EUR", "total": "9.90"},
    }
    for raw in (home / "past.jsonl").read_bytes().splitlines():
        told = msgspec.json.decode(raw)
        if told.get("customer", {}).get("id") == "ada":
            order["shop"] = told.get("shop", "")
            order["customer"] = {**told["customer"], "name": "Ada"}
            break
    known.write_bytes(msgspec.json.encode(order) + b"\n")
    _, imported = ask("--home", home, "import", "events", known)
    assert imported["data"]["new"] == 1
    code, _ = ask("--home", home, "explain", "--customer", "ada")
    assert code == 1
    assert b"Ada" not in (home / "aftersale.db").read_bytes().replace(b"Adam", b"")


# --- the reference --------------------------------------------------------------------------


def commands(group: Any, words: str = "aftersale") -> Iterator[tuple[str, Any]]:
    for name, found in group.commands.items():
        if hasattr(found, "commands"):
            yield from commands(found, f"{words} {name}")
        else:
            yield f"{words} {name}", found


COMMON = {"--home", "--json", "--debug", "--help"}


def test_the_reference_tells_every_command_and_option_and_no_other() -> None:
    text = (ROOT / "docs" / "reference" / "commands.md").read_text(encoding="utf-8")
    told: dict[str, set[str]] = {}
    name = ""
    for line in text.splitlines():
        if line.startswith("### `"):
            name = line.split("`")[1]
            told[name] = set()
        elif line.startswith("## "):
            name = ""
        elif name and line.startswith("- `--"):
            told[name] |= {word.split()[0] for word in line.split("`")[1].split(", ")}
    tree = typer.main.get_command(command_line)
    real = {
        name: {
            option
            for parameter in found.params
            if parameter.param_type_name == "option"
            for option in [*parameter.opts, *parameter.secondary_opts]
        }
        - COMMON
        for name, found in commands(tree)
    }
    assert told == real
