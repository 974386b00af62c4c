"""How does a message look in a real mail program, before any customer gets one?"""

from aftersale.delivery.channel import Channel, Outgoing, Result
from aftersale.kernel.errors import Refusal
from aftersale.kernel.instants import Instant, format_instant
from aftersale.messages.compose import EMAIL, Envelope, Message, compose
from aftersale.messages.facts import SAMPLE
from aftersale.messages.template import Templates
from aftersale.programme.ports import Transaction
from aftersale.runtime.app import App
from aftersale.runtime.sending import STOPPED, mode_of

USUAL = "order-confirmation"


def sample_of(
    app: App, tx: Transaction, address: str, *, template: str = "", locale: str = ""
) -> Message:
    """The template filled with invented facts, to this address."""
    compiled = app.worlds.compiled(tx, app.worlds.newest(tx))
    templates = Templates(compiled.templates)
    names = templates.names()
    name = template or (USUAL if USUAL in names else next(iter(names), USUAL))
    shop = compiled.shop
    found = templates.find(name, "", locale or shop.locale)
    if found is None:
        raise Refusal(
            f"there is no template {name!r}", hint=f"there are {', '.join(names) or 'none'}"
        )
    public = app.public_url.rstrip("/")
    envelope = Envelope(
        key=f"test:{name}:{format_instant(app.system_now())}",
        sender_name=shop.sender_name or shop.name,
        sender_address=shop.sender_email,
        to=address,
        message_id_domain=shop.sender_email.rpartition("@")[2] or "localhost",
        purpose="marketing",  # so that what marketing must show is seen too
        reply_to=shop.reply_to,
        unsubscribe_url=f"{public}/u/sample",
        preferences_url=f"{public}/p/sample",
        locale=locale or shop.locale,
    )
    return compose(found, facts=SAMPLE, envelope=envelope)


def email_channel(app: App, tx: Transaction) -> Channel:
    """The channel that a sample goes by, whatever the mode, unless sending is stopped."""
    if mode_of(tx) == STOPPED:
        raise Refusal("sending is stopped", hint="aftersale rehearse, or aftersale test")
    channel = app.sending.channels.get(EMAIL)
    if channel is None:
        raise Refusal(
            "no mail server is set up",
            where="AFTERSALE_SMTP_URL",
            hint="for instance smtp://user:password@mail.example:587",
        )
    return channel


def send_sample(channel: Channel, message: Message, now: Instant) -> Result:
    """Hand the sample over; the outbox knows nothing of it."""
    (result,) = channel.send([Outgoing(0, message, now)])
    return result
