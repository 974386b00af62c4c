"""Which words and figures does a message need, and where do they come from?"""

from collections.abc import Mapping
from typing import Any

from aftersale.customers.profile import Order
from aftersale.delivery.ports import Send
from aftersale.journeys.definition import Send as SendStep
from aftersale.kernel.errors import Refusal
from aftersale.kernel.instants import Instant
from aftersale.messages.bounded import Problem, environment, fill, parse
from aftersale.messages.compose import Envelope, Message, compose
from aftersale.messages.facts import clean
from aftersale.messages.links import sign
from aftersale.messages.template import Templates
from aftersale.messages.wording import format_amount, format_date
from aftersale.programme.policies import ShopFacts
from aftersale.segments.reading import Reading
from aftersale.turn.programme import World
from aftersale.turn.state import State

_PLAIN = environment({}, html=False)

NO_ADDRESS = "no-address.invalid"
"""Domain of the stand-in address where none is known; only the mailbox takes it."""


class Renderer:
    """Makes the message of an outbox row with today's wording."""

    def __init__(
        self, templates: Templates, shop: ShopFacts, *, secret: bytes, public_url: str
    ) -> None:
        self._templates = templates
        self._shop = shop
        self._secret = secret
        self._url = public_url.rstrip("/")

    def render(
        self, send: Send, state: State, world: World, person: Mapping[str, Any], now: Instant
    ) -> Message:
        """The message; a template that is missing or fails is refused."""
        reading = world.reading(state.profile, now)
        locale = state.profile.locale.value if state.profile.locale else self._shop.locale
        template = self._templates.find(send.template, send.shop, locale)
        if template is None:
            raise Refusal(
                f"there is no template {send.template!r}",
                where=f"journey {send.journey}, step {send.step}",
                hint=f"write templates/{send.template}.liquid",
            )
        reading.run = _About(send)
        facts = self._facts(send, reading, person, template.locale, world)
        return compose(template, facts=facts, envelope=self._envelope(send, person, locale))

    def _envelope(self, send: Send, person: Mapping[str, Any], locale: str) -> Envelope:
        shop = self._shop
        field = "phone" if send.channel == "sms" else "email"
        return Envelope(
            key=send.key,
            sender_name=shop.sender_name or shop.name,
            sender_address=shop.sender_email,
            to=str(person.get(field) or f"customer-{send.customer}@{NO_ADDRESS}"),
            message_id_domain=shop.sender_email.rpartition("@")[2] or "localhost",
            purpose=send.purpose,
            reply_to=shop.reply_to,
            unsubscribe_url=self._link("u", send),
            preferences_url=self._link("p", send),
            channel=send.channel,
            locale=locale,
            shop=send.shop,
        )

    def _link(self, page: str, send: Send) -> str:
        return f"{self._url}/{page}/{sign(self._secret, page, str(send.customer), send.key)}"

    def _facts(
        self,
        send: Send,
        reading: Reading,
        person: Mapping[str, Any],
        locale: str,
        world: World,
    ) -> dict[str, Any]:
        zone = reading.whereabouts.zone
        name = str(person.get("name") or person.get("first_name") or "")
        facts: dict[str, Any] = {
            "customer": {
                "name": name,
                "first_name": str(person.get("first_name") or name.partition(" ")[0]),
                "locale": locale,
                "country": reading.profile.country.value if reading.profile.country else "",
            },
            "shop": {
                "name": self._shop.name,
                "url": self._shop.url,
                "address": self._shop.address,
            },
            "links": {"order": self._link("o", send), "review": self._link("r", send)},
        }
        order = reading.order
        if order is not None and order.at:
            facts["order"] = _order(send, order, reading, locale, zone)
        product = reading.product
        if product is not None:
            facts["product"] = {
                "name": product.name or product.id,
                "care": product.care,
                "kind": product.kind,
                "url": product.url,
            }
        refill = reading.refill
        if refill is not None:
            facts["refill"] = {"due": format_date(refill.due, zone, locale)}
        parcel = {key: person[key] for key in ("carrier", "tracking") if person.get(key)}
        if parcel:
            facts["parcel"] = {**parcel, "url": str(person.get("tracking_url") or "")}
        benefit = _benefit(send, world)
        if benefit:
            facts["benefit"] = _filled(benefit, facts, send) if "{" in benefit else benefit
        return facts


def _filled(text: str, facts: dict[str, Any], send: Send) -> str:
    """The benefit that a journey names, with the facts in their places."""
    part = parse(_PLAIN, f"journey {send.journey}, step {send.step}", text)
    if isinstance(part, Problem):
        raise part.refusal()
    return fill(part, clean(facts))


class _About:
    """What the send is about, as conditions and readings name it."""

    __slots__ = ("came", "order", "parcel", "product", "started_at")

    def __init__(self, send: Send) -> None:
        self.order = str(send.values.get("order") or "")
        self.product = str(send.values.get("product") or "")
        self.parcel = str(send.values.get("parcel") or "")
        self.started_at = send.decided_at
        self.came = False


def _order(send: Send, order: Order, reading: Reading, locale: str, zone: str) -> dict[str, Any]:
    promised = max((parcel.promised_at for parcel in order.parcels.values()), default=0)
    return {
        "number": str(send.values.get("order") or "").rpartition("/")[2],
        "total": format_amount(order.total, order.currency, locale),
        "currency": order.currency,
        "placed_at": format_date(order.at, zone, locale),
        "promised_at": format_date(promised, zone, locale) if promised else "",
        "lines": [
            {
                "name": reading.catalogue.get(line.product).name or line.product,
                "quantity": line.quantity,
                "amount": format_amount(line.amount, order.currency, locale),
            }
            for line in order.lines
        ],
    }


def _benefit(send: Send, world: World) -> str:
    graph = world.programme.graph(send.journey, send.version)
    if graph is None:
        return ""
    for step in graph.steps:
        if step.id == send.step and isinstance(step, SendStep) and step.benefit:
            return step.benefit.text
    return ""
