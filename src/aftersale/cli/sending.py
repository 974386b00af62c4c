"""How is sending tried out, and what becomes of messages of which nobody knows?"""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from aftersale.cli.answer import DONE, FAILED, Answer, Here, Table, command
from aftersale.kernel.errors import Refusal
from aftersale.kernel.instants import format_instant

if TYPE_CHECKING:
    from aftersale.delivery.ports import Send

SHOWN = 1_000


def send_test(
    here: Here,
    address: Annotated[str, typer.Argument(help="An address of your own.")],
    *,
    template: Annotated[
        str, typer.Option("--template", help="Which (default: order-confirmation).")
    ] = "",
    locale: Annotated[
        str, typer.Option("--locale", help="In which language (default: the shop's).")
    ] = "",
) -> Answer:
    """Send one sample through the mail server, to see how it arrives.

    It is filled with invented facts, and the outbox knows nothing of it. It goes in every mode
    but stopped.
    """
    from aftersale.delivery.ports import SENT
    from aftersale.delivery.reasons import send_words
    from aftersale.runtime.sampling import email_channel, sample_of, send_sample

    app = here.app()
    with app.store.read() as tx:
        channel = email_channel(app, tx)
        message = sample_of(app, tx, address, template=template, locale=locale)
    try:
        result = send_sample(channel, message, app.system_now())
    finally:
        app.sending.close()
    data = {
        "to": address,
        "subject": message.subject,
        "where": channel.where,
        "status": result.status,
        "reason": result.reason,
        "provider_id": result.provider_id,
    }
    if result.status == SENT:
        known = f" It calls it {result.provider_id}." if result.provider_id else ""
        said = f"{channel.where} took {message.subject!r} for {address}.{known}"
        return Answer(data, [said])
    said = f"{channel.where} did not take it: {send_words(result.reason)}."
    return Answer(data, [said], next=[here.line("doctor")], code=FAILED)


def resolve(
    here: Here,
    key: Annotated[str, typer.Argument(help="Key of one message.")] = "",
    *,
    journey: Annotated[
        str, typer.Option("--journey", help="All messages of this journey instead.")
    ] = "",
    sent: Annotated[bool, typer.Option("--sent", help="It went out.")] = False,
    not_sent: Annotated[
        bool, typer.Option("--not-sent", help="It did not go out, and shall not.")
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Judge and send it again: it may arrive twice.")
    ] = False,
) -> Answer:
    """List messages of which nobody knows whether they went out, or say what became of them."""
    from aftersale.runtime import resolving

    said = [
        answer
        for answer, given in zip(resolving.ANSWERS, (sent, not_sent, again), strict=True)
        if given
    ]
    if len(said) > 1 or (said and bool(key) == bool(journey)) or (key and not said):
        raise Refusal(
            "name one message or one journey, and one answer",
            hint=f"{here.line('resolve KEY --sent')}   or --not-sent, or --again",
            code=2,
        )
    app = here.app()
    if not said:
        with app.store.read() as tx:
            return _listed(here, resolving.in_doubt(tx, journey=journey, limit=SHOWN))
    with app.store.write() as tx:
        now = app.now(tx)
        count = resolving.resolve(tx, said[0], now, key=key, journey=journey)
        left = len(resolving.in_doubt(tx))
    data = {"answer": said[0], "resolved": count, "left": left}
    return Answer(data, [f"{count} resolved as {said[0]}, {left} left."])


def _listed(here: Here, sends: "list[Send]") -> Answer:
    from aftersale.delivery.reasons import send_words

    data: list[dict[str, Any]] = [
        {
            "key": send.key,
            "decision": f"{send.customer}-{send.seq}",
            "journey": send.journey,
            "template": send.template,
            "purpose": send.purpose,
            "since": format_instant(send.status_at),
            "reason": send.reason,
            "repeats": send.repeats,
        }
        for send in sends
    ]
    rows = [(row["key"], row["template"], row["since"], send_words(row["reason"])) for row in data]
    headings = ("key", "message", "since", "why nobody knows")
    shown: list[str | Table] = [Table(headings, rows)] if rows else ["Nothing is in doubt."]
    following = [here.line("resolve KEY --sent")] if rows else []
    return Answer(data, shown, next=following, code=DONE)


def add_to(app: typer.Typer) -> None:
    """Make these commands part of the command line."""
    command(app, "send-test")(send_test)
    command(app, "resolve")(resolve)
