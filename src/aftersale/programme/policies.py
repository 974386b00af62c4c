"""Which policy and which facts of the shop do `policies.yaml` and `aftersale.toml` state?

What is absent keeps its default; what is stated counts, also where it is zero or an empty list.
"""

import re
import tomllib
from typing import Any

import msgspec

from aftersale.gates.policy import Cap, Policy, Quiet
from aftersale.kernel.instants import DAY
from aftersale.kernel.zones import is_zone
from aftersale.messages.facts import is_web_address
from aftersale.programme.grammar import CHANNELS, PURPOSES, Key, Keys
from aftersale.programme.marked import Marked, Problem, read_marked
from aftersale.programme.page import Entry, Page, near, shown

POLICIES: Keys = (
    Key("zone", "text", "The shop's time zone; serves where a customer's is not known (UTC)."),
    Key("currency", "text", "The shop's currency (EUR)."),
    Key(
        "caps",
        "list",
        "How many messages at most in a time: a list of most, per (1 a day, 3 a week).",
    ),
    Key("quiet", "mapping", "from, to: when nothing of the purposes goes out (21:00 to 08:00)."),
    Key("slot", "mapping", "at, spread: when marketing goes out by default (10:00, 30 minutes)."),
    Key("helpful_share", "share", "Share of messages that helpful content may claim (0.5)."),
    Key("holdout", "share", "Share of customers each journey leaves out to measure (0.05)."),
    Key("seed", "text", "Makes this shop's draws other than those of the next (aftersale)."),
    Key("ticket_lasts", "duration", "How long something bad stops promotion (14 days)."),
    Key("bad_rating", "number", "Ratings up to this are bad (2)."),
    Key("restart_after", "duration", "How soon a customer's journey may begin again (90 days)."),
    Key("live_runs", "number", "Runs of one customer at a time (50)."),
    Key("calibrate_every", "duration", "How often thresholds are fitted afresh (90 days)."),
    Key("late_after", "duration", "A forbidding event this much earlier counts as late (2 hours)."),
    Key("breaker", "number", "A journey stops above this multiple of its busiest hour (5)."),
    Key("breaker_floor", "number", "Messages an hour below which the breaker never acts (50)."),
    Key("startup_per_hour", "number", "Messages an hour in the first day of being live (500)."),
)
CAP: Keys = (
    Key("most", "number", "How many.", needed=True),
    Key("per", "duration", "In which time.", needed=True),
    Key("channel", "choice", "On which channel (all)."),
    Key("purpose", "choice", "Of which purpose (marketing)."),
)
QUIET: Keys = (
    Key("from", "clock", "Begin, on the customer's clock."),
    Key("to", "clock", "End."),
    Key("purposes", "list", "What is quiet ([marketing]); [] for nothing."),
)
SLOT: Keys = (
    Key("at", "clock", "Time of day, until a customer's own best hour is known."),
    Key("spread", "duration", "Over which time messages are spread."),
)
_CURRENCY = re.compile(r"[A-Z]{3}")
_EMAIL = re.compile(r"[^@\s<>\",;]+@[^@\s<>\",;]+\.[^@\s<>\",;.]+")


class ShopFacts(msgspec.Struct, frozen=True, gc=False):
    """What customers see of the shop, and who may be written to in a test."""

    name: str = ""
    url: str = ""
    address: str = ""
    """By post: the law asks for it under every marketing mail."""
    locale: str = "en"
    """Language where a customer's is not known."""
    sender_email: str = ""
    sender_name: str = ""
    reply_to: str = ""
    test_addresses: tuple[str, ...] = ()


def read_policies(text: str, *, where: str = "policies.yaml") -> tuple[Policy, list[Problem]]:
    """The policy of a text, with defaults for what it leaves out or gets wrong."""
    document, problems = read_marked(text, where=where)
    if document is None:
        return Policy(), problems
    page = Page(where)
    if document.value is None:
        return Policy(), []
    entry = page.entry(document, POLICIES, "policies.yaml")
    usual = Policy()
    policy = Policy(
        zone=_zone(page, entry, usual.zone),
        currency=_currency(page, entry, usual.currency),
        caps=_caps(page, entry["caps"]) if "caps" in entry else usual.caps,
        quiet=_quiet(page, entry["quiet"]) if "quiet" in entry else usual.quiet,
        helpful_share=page.number(entry, "helpful_share", usual.helpful_share, 0, 1),
        holdout=page.number(entry, "holdout", usual.holdout, 0, 0.9),
        seed=page.text(entry, "seed", usual.seed),
        ticket_lasts=page.duration(entry, "ticket_lasts", usual.ticket_lasts),
        bad_rating=page.whole(entry, "bad_rating", usual.bad_rating, 0, 5),
        live_runs=page.whole(entry, "live_runs", usual.live_runs, 1, 1000),
        restart_after=page.duration(entry, "restart_after", usual.restart_after),
        calibrate_every=page.duration(entry, "calibrate_every", usual.calibrate_every),
        late_after=page.duration(entry, "late_after", usual.late_after),
        breaker=page.number(entry, "breaker", usual.breaker, 1, 1e6),
        breaker_floor=page.whole(entry, "breaker_floor", usual.breaker_floor, 0, 10**9),
        startup_per_hour=page.whole(entry, "startup_per_hour", usual.startup_per_hour, 1, 10**9),
    )
    if "slot" in entry:
        slot = page.entry(entry["slot"], SLOT, "slot")
        policy = msgspec.structs.replace(
            policy,
            slot_minute=page.clock(slot, "at", usual.slot_minute),
            slot_spread=page.duration(slot, "spread", usual.slot_spread),
        )
    if policy.slot_spread > DAY:
        page.wrong(entry["slot"].line, "spread is longer than a day", "for instance 30 minutes")
    return policy, page.problems


def _zone(page: Page, entry: Entry, default: str) -> str:
    zone = page.text(entry, "zone", default)
    if "zone" in entry and not is_zone(zone):
        hint = "use a name like Europe/Berlin or America/Sao_Paulo"
        page.wrong(entry["zone"].line, f"{shown(zone)} is no time zone", hint)
        return default
    return zone


def _currency(page: Page, entry: Entry, default: str) -> str:
    currency = page.text(entry, "currency", default)
    if not _CURRENCY.fullmatch(currency):
        hint = "use the three letters of ISO 4217, for instance EUR"
        page.wrong(entry["currency"].line, f"{shown(currency)} is no currency", hint)
        return default
    return currency


def _caps(page: Page, marked: Marked) -> tuple[Cap, ...]:
    if not isinstance(marked.value, tuple):
        page.wrong(marked.line, "caps is a list", "for instance [{most: 1, per: 1 day}]")
        return Policy().caps
    caps = []
    channels = (*(channel for channel in CHANNELS if channel != "best"), "*")
    for item in marked.value:
        entry = page.entry(item, CAP, "a cap")
        caps.append(
            Cap(
                page.whole(entry, "most", 1, 0, 10_000),
                page.duration(entry, "per", DAY),
                page.choice(entry, "channel", channels, "*"),
                page.choice(entry, "purpose", (*PURPOSES, "*"), "marketing"),
            )
        )
    return tuple(caps)


def _quiet(page: Page, marked: Marked) -> Quiet:
    entry = page.entry(marked, QUIET, "quiet")
    usual = Quiet()
    purposes = page.words(entry, "purposes", usual.purposes)
    for purpose in purposes:
        if purpose not in PURPOSES:
            what = f"purposes: {shown(purpose)} is not known"
            page.wrong(entry["purposes"].line, what, near(purpose, PURPOSES))
    return Quiet(
        page.clock(entry, "from", usual.start), page.clock(entry, "to", usual.end), purposes
    )


# --- the shop -----------------------------------------------------------------------------

_SHOP = {
    "shop": {"name": "name", "url": "url", "address": "address", "locale": "locale"},
    "sender": {"email": "sender_email", "name": "sender_name", "reply_to": "reply_to"},
    "test": {"addresses": "test_addresses"},
}
"""Table → key → field of ShopFacts."""


def read_shop(text: str, *, where: str = "aftersale.toml") -> tuple[ShopFacts, list[Problem]]:
    """The facts of the shop, with defaults for what the text leaves out or gets wrong."""
    page = Page(where)
    try:
        tables = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        place = re.search(r"\(at line (\d+)", str(error))
        page.wrong(int(place[1]) if place else 1, str(error).split(" (at ")[0])
        return ShopFacts(), page.problems
    found: dict[str, Any] = {}
    for table, entries in tables.items():
        known = _SHOP.get(table)
        if known is None or not isinstance(entries, dict):
            what = f"there is no table {shown(table)}"
            page.wrong(_line(text, table), what, near(table, _SHOP))
            continue
        for key, value in entries.items():
            if key not in known:
                what = f"[{table}] has no key {shown(key)}"
                page.wrong(_line(text, key, table), what, near(key, known))
            elif _fits(page, value, known[key], f"{table}.{key}", _line(text, key, table)):
                found[known[key]] = tuple(value) if isinstance(value, list) else value.strip()
    return ShopFacts(**found), page.problems


def _fits(page: Page, value: object, field: str, name: str, line: int) -> bool:
    if field == "test_addresses":
        listed = isinstance(value, list) and all(isinstance(item, str) for item in value)
        if not listed:
            page.wrong(line, f"{name} is a list of texts", 'for instance ["me@shop.example"]')
        return listed
    if not isinstance(value, str):
        page.wrong(line, f"{name} is text", "put it in quotes")
        return False
    value = value.strip()
    if field in {"sender_email", "reply_to"} and value and not _EMAIL.fullmatch(value):
        page.wrong(line, f"{name}: {shown(value)} is no e-mail address")
        return False
    if field == "url" and value and not is_web_address(value):
        page.wrong(line, f"{name}: {shown(value)} is no address", "begin it with https://")
        return False
    if any(sign in value for sign in "\r\n") and field != "address":
        page.wrong(line, f"{name} is one line")
        return False
    return True


def _line(text: str, word: str, table: str = "") -> int:
    """The line of a key, as well as it can be found: the parser does not tell."""
    lines = text.splitlines()
    first = 0
    if table:
        first = next((n for n, line in enumerate(lines) if line.strip() == f"[{table}]"), 0)
    begins = re.compile(rf"\s*\[?\s*{re.escape(word)}\b")
    return next((n + 1 for n, line in enumerate(lines) if n >= first and begins.match(line)), 1)
