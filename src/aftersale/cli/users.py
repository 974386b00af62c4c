"""Who may open the pages with a password?"""

import getpass
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from aftersale.cli.answer import NEEDS_A_PERSON, Answer, Here, Table, command
from aftersale.kernel.errors import Refusal
from aftersale.kernel.instants import format_instant

if TYPE_CHECKING:
    from collections.abc import Callable

    from aftersale.kernel.instants import Instant
    from aftersale.web.accounts import Account, Accounts

group = typer.Typer(help="Say who may open the pages with a password.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="By which somebody signs in.")]
FromInput = Annotated[
    bool, typer.Option("--stdin", help="Read the password from standard input, one line.")
]


@command(group, "add")
def add(here: Here, name: Name, *, stdin: FromInput = False) -> Answer:
    """Let somebody sign in with a password, which is asked for."""
    from aftersale.web.accounts import Accounts

    found = _kept(here, "add", Accounts.add, name, stdin=stdin)
    return Answer({"name": found.name}, [f"{found.name} may sign in."])


@command(group, "set")
def set_password(here: Here, name: Name, *, stdin: FromInput = False) -> Answer:
    """Give somebody another password; every session of theirs ends."""
    from aftersale.web.accounts import Accounts

    found = _kept(here, "set", Accounts.set, name, stdin=stdin)
    return Answer({"name": found.name}, [f"Changed. Every session of {found.name} has ended."])


@command(group, "list")
def listed(here: Here) -> Answer:
    """List who may sign in."""
    from aftersale.web.accounts import accounts

    app = here.app()
    with app.store.read() as tx:
        found = accounts(tx)
    app.store.close()
    data = [
        {
            "name": one.name,
            "made_at": format_instant(one.made_at),
            "changed_at": format_instant(one.changed_at),
        }
        for one in found
    ]
    rows = [tuple(row.values()) for row in data]
    following = [] if found else [here.line("users add NAME")]
    return Answer(data, [Table(("name", "since", "password of"), rows)], next=following)


@command(group, "remove")
def remove(here: Here, name: Name) -> Answer:
    """Let somebody sign in no more; every session of theirs ends."""
    from aftersale.web.accounts import Accounts

    app = here.app()
    Accounts(app.store).remove(name)
    app.store.close()
    return Answer({"name": name}, [f"{name} may not sign in any more, and has no session."])


@command(group, "revoke")
def revoke(
    here: Here,
    names: Annotated[
        list[str] | None, typer.Argument(help="Whose sessions (default: all, links too).")
    ] = None,
) -> Answer:
    """End sessions at once; passwords stay as they are."""
    from aftersale.web.accounts import Accounts

    app = here.app()
    ended = Accounts(app.store).revoke(names or [], app.system_now())
    app.store.close()
    told = ", ".join(name or "one-time links" for name in ended)
    return Answer({"accounts": ended}, [f"Every session has ended of: {told}."])


def _kept(
    here: Here,
    word: str,
    keep: "Callable[[Accounts, str, str, Instant], Account]",
    name: str,
    *,
    stdin: bool,
) -> "Account":
    """Ask for a password and keep it; `word` is the command's."""
    from aftersale.web.accounts import Accounts

    app = here.app()
    password = _password(here, f"users {word} {name}", stdin=stdin)
    found = keep(Accounts(app.store), name, password, app.system_now())
    app.store.close()
    return found


def _password(here: Here, line: str, *, stdin: bool) -> str:
    if stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not here.terminal:
        raise Refusal(
            "there is nobody to ask for the password",
            hint=f"{here.line(line)} --stdin < FILE",
            code=NEEDS_A_PERSON,
        )
    password = getpass.getpass("Password: ", stream=sys.stderr)
    if getpass.getpass("Again: ", stream=sys.stderr) != password:
        raise Refusal("the two are not the same", hint="nothing was changed; try again", code=2)
    return password


def add_to(app: typer.Typer) -> None:
    """Make these commands part of the command line."""
    app.add_typer(group, name="users")
