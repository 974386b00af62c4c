"""Do the files for Docker and systemd name what there is?

They are read here, not run: every source, setting and command that they name exists.
"""

import re
import shlex
from configparser import RawConfigParser
from pathlib import Path
from typing import Any

import pytest
import typer
from ruamel.yaml import YAML

from aftersale.cli import app
from aftersale.settings import Settings, read_settings, variable

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = YAML(typ="safe").load((ROOT / "compose.yaml").read_text("utf-8"))
UNITS = sorted((ROOT / "deploy").glob("*.service"))
VARIABLES = {variable(name) for name in Settings.__struct_fields__}
OTHERS = {"PATH", "PYTHONUNBUFFERED", "PGPASSWORD"}

each_unit = pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)


def is_command(words: list[str]) -> bool:
    """Whether these words after `aftersale` are a command, with options that it has."""
    found: Any = typer.main.get_command(app)
    while words and getattr(found, "commands", None):
        if words[0] not in found.commands:
            return False
        found, words = found.commands[words[0]], words[1:]
    options = {option for parameter in found.params for option in parameter.opts}
    return all(word in options for word in words if word.startswith("-"))


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions with what follows them."""
    joined = re.sub(r"(?m)^\s*#.*\n", "", DOCKERFILE).replace("\\\n", " ")
    return [
        (line.split(None, 1)[0], line.split(None, 1)[1])
        for line in joined.splitlines()
        if line.strip()
    ]


def settings_of(environment: dict[str, str]) -> Settings:
    """The settings that such an environment makes; every variable of ours must be one."""
    assert set(environment) - VARIABLES - OTHERS == set()
    return read_settings(environment)


# --- Docker --------------------------------------------------------------------------------


def test_what_the_image_copies_is_there_and_let_through() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert ignored[0] == "*"
    through = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    copied = set()
    for word, rest in instructions():
        if word == "COPY" and not rest.startswith("--from="):
            *sources, _ = shlex.split(rest)
            copied |= set(sources)
    assert copied == through
    assert [name for name in copied if not (ROOT / name).exists()] == []


def test_the_image_runs_the_worker_as_nobody_in_particular_and_is_asked_how_it_is() -> None:
    told = dict(instructions())
    assert told["USER"] == "aftersale"
    assert told["ENTRYPOINT"] == '["aftersale"]'
    assert is_command(YAML(typ="safe").load(told["CMD"]))
    environment = dict(pair.split("=", 1) for pair in shlex.split(told["ENV"]))
    settings = settings_of(environment)
    assert str(settings.metrics_port) in told["EXPOSE"].split()
    assert str(settings.port) in told["EXPOSE"].split()
    assert f"127.0.0.1:{settings.metrics_port}/healthz" in told["HEALTHCHECK"]
    assert settings.home == Path(told["WORKDIR"]) == Path(told["VOLUME"])
    assert "--require-hashes" in DOCKERFILE
    assert all("python:3.11-slim" in rest for word, rest in instructions() if word == "FROM")


def test_compose_names_settings_commands_services_and_volumes_that_exist() -> None:
    services = COMPOSE["services"]
    assert set(services) == {"db", "prepare", "worker", "serve"}
    assert services["worker"]["deploy"]["replicas"] == 2
    for name, service in services.items():
        assert set(service.get("depends_on", {})) <= set(services)
        mounts = [mount.partition(":")[0] for mount in service["volumes"]]
        assert set(mounts) <= set(COMPOSE["volumes"])
        if name == "db":
            continue
        environment = dict.fromkeys(service["environment"], "1")
        assert set(environment) - VARIABLES - OTHERS == set()
        assert not service["command"] or is_command(list(service["command"]))
    lines = services["prepare"]["entrypoint"][-1].split(" || ")
    assert all(is_command(line.split()[1:]) for line in lines)


def test_compose_has_no_password_and_opens_nothing_to_other_machines() -> None:
    text = (ROOT / "compose.yaml").read_text(encoding="utf-8")
    told = {
        v for s in COMPOSE["services"].values() for k, v in s["environment"].items() if "PASS" in k
    }
    assert all(re.fullmatch(r"\$\{POSTGRES_PASSWORD:\?.+\}", value) for value in told)
    assert not re.search(r"postgresql://[^@/]*:[^@/]*@", text)
    ports = [port for s in COMPOSE["services"].values() for port in s.get("ports", [])]
    assert ports == ["127.0.0.1:8765:8765"]
    assert str(COMPOSE["services"]["serve"]["healthcheck"]["test"]).count(":8765/healthz") == 1


# --- systemd -------------------------------------------------------------------------------


def unit(path: Path) -> dict[str, dict[str, list[str]]]:
    """A unit file: section → key → values; systemd lets a key come again."""
    found: dict[str, dict[str, list[str]]] = {}
    section: dict[str, list[str]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            section = found.setdefault(line.strip("[]"), {})
        elif line and not line.startswith("#"):
            key, _, value = line.partition("=")
            section.setdefault(key, []).append(value)
    return found


@each_unit
def test_a_unit_starts_a_command_with_settings_that_exist(path: Path) -> None:
    service = unit(path)["Service"]
    (started,) = service["ExecStart"]
    program, *words = shlex.split(started)
    assert program.endswith("/bin/aftersale")
    assert is_command(words)
    settings = settings_of(dict(pair.split("=", 1) for pair in service["Environment"]))
    assert settings.home == Path("/var/lib") / service["StateDirectory"][0]
    assert service["Restart"] == ["on-failure"]
    assert service["User"] == ["aftersale"]
    assert service["NoNewPrivileges"] == ["yes"]


def test_a_worker_is_given_the_time_that_a_mail_server_may_take() -> None:
    service = unit(ROOT / "deploy" / "aftersale.service")["Service"]
    most = 4 * Settings().smtp_timeout_seconds
    assert int(service["TimeoutStopSec"][0]) > most + Settings().smtp_timeout_seconds
    assert COMPOSE["services"]["worker"]["stop_grace_period"] == f"{service['TimeoutStopSec'][0]}s"
    assert service["KillMode"] == ["mixed"]


def test_the_example_of_settings_names_settings_only() -> None:
    text = (ROOT / "deploy" / "aftersale.env").read_text(encoding="utf-8")
    parser = RawConfigParser(comment_prefixes=("# ",), delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string("[all]\n" + re.sub(r"(?m)^#(?=AFTERSALE)", "", text))
    settings_of(dict(parser["all"]))
    assert not [line for line in text.splitlines() if line and not line.startswith("#")]
