"""Do workers that are killed while others go on decide and send as if nothing had happened?

Two live workers are processes of their own: on PostgreSQL they share the customers, on a file one
waits to take over. A drawn one is killed at drawn moments and started again, while this process
takes events in. Half of the runs send by SMTP to a server on a bad day.
"""

import contextlib
from collections.abc import Iterator

import msgspec
import pytest

from aftersale import bootstrap
from aftersale.delivery.ports import SENT
from aftersale.kernel.draw import draw
from aftersale.kernel.instants import DAY, HOUR
from aftersale.settings import Settings
from aftersale.testing.mail_server import Answer, Letter, ScriptedMailServer
from kills import Tally, share
from living import Crew, Step, examine, live_through, prepared, steps, uninterrupted
from recordings import LIVE, events

pytestmark = pytest.mark.crash

Ready = tuple[Settings, dict[str, str]]


@contextlib.contextmanager
def moody_server(seed: object) -> Iterator[ScriptedMailServer]:
    """A mail server that is now and then slow, refuses, or breaks off before or after the end."""

    def answered(letter: Letter) -> Answer:
        luck = draw("mail", seed, letter.message_id, server.arrived[letter.message_id])
        for part, answer in (
            (0.05, Answer(wait=0.2)),
            (0.15, Answer("451 4.7.1 later")),
            (0.22, Answer(hang_up=True, taken=True)),
            (0.26, Answer(hang_up=True, taken=False)),
            (0.29, Answer("554 5.7.1 no")),
        ):
            if luck < part:
                return answer
        return Answer(wait=0.01)

    def known(address: str) -> Answer:
        late = draw("recipient", seed, address, len(server.senders)) < 0.05
        return Answer("450 4.2.1 busy") if late else Answer("250 2.1.5 Ok")

    with ScriptedMailServer(end=answered, recipient=known) as server:
        yield server


@pytest.mark.parametrize("way", ["mailbox", "smtp"])
@pytest.mark.parametrize("store", ["postgresql", "sqlite"])
def test_two_workers_killed_again_and_again(
    store: str, way: str, ready: Ready, request: pytest.FixtureRequest, tally: Tally
) -> None:
    """Decisions are those of a run that nobody disturbed; every copy of a message is explained."""
    settings, files = ready
    if store == "postgresql":
        address = request.getfixturevalue("database")
        settings = msgspec.structs.replace(settings, database=address)
    kills = share(0.135)
    past, rows = events(200, seed=9)
    plan = steps(rows, max(2 * kills, 24), every=12 * HOUR)
    plan += [Step(plan[-1].now + n * DAY, ()) for n in (1, 2)]
    whole = uninterrupted(files, past, plan)
    prepared(settings, past, mode="live" if way == "smtp" else "rehearse")
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(moody_server(store))
        if way == "smtp":
            settings = msgspec.structs.replace(settings, smtp_url=server.url, smtp_connections=2)
        app = bootstrap.open_app(settings)
        stack.callback(app.store.close)
        crew = Crew(settings, settings.home)
        crew.clock.set(LIVE)

        def disturb(number: int) -> None:
            crew.kill_drawn(store, way, number)

        with crew:
            live_through(app, crew, plan, (store, way), disturb=disturb, times=kills)
        tally.kills = crew.kills
        outcome = examine(app, tally, server.copies if way == "smtp" else None)
    tally.equal = outcome.digest == whole.digest
    assert outcome.last == whole.last
    assert outcome.keys == whole.keys
    assert outcome.digest == whole.digest
    if way == "mailbox":
        assert tally.copies == list(outcome.outcomes.values()).count(SENT)
