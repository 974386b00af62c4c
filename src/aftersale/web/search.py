"""What is meant by a few words: a customer, an order, a journey, a segment, a template, a page?

Customers are found by what names them exactly (an address, an id, an order). By a part of their
name only while there are few enough of them to be read through.
"""

import msgspec
from starlette.requests import Request

from aftersale.kernel.errors import Refusal
from aftersale.kernel.ids import CustomerId
from aftersale.programme.ports import Transaction
from aftersale.runtime.explaining import find_customer
from aftersale.web.pages import MENU, Pages, Shown
from aftersale.web.words import person_name

MOST = 12
NAMES_UPTO = 20_000
"""Customers up to which names are searched."""
LONGEST = 200
ALSO = (
    ("Decisions", "/decisions"),
    ("Try a segment", "/segments/new"),
    ("Messages in doubt", "/doubts"),
)


class Hit(msgspec.Struct, frozen=True):
    """One thing that was found."""

    kind: str
    title: str
    address: str
    text: str = ""


class Search(msgspec.Struct, frozen=True):
    """Everything on the page; the same as JSON."""

    words: str
    found: list[Hit]
    by_name: bool
    """Whether names of customers were searched too."""


def search(pages: Pages, tx: Transaction, request: Request) -> Shown:
    """Everything that the words may mean."""
    words = request.query_params.get("q", "").strip()[:LONGEST]
    by_name = tx.identities.last() <= NAMES_UPTO
    found = _pages(words) + _of_programme(pages, tx, words)
    if words:
        found = _people(pages, tx, words, by_name=by_name) + found
    view = Search(words, found[:MOST], by_name)
    return Shown("search.html", "", view, ("found",))


def _fits(words: str, *texts: str) -> bool:
    text = " ".join(texts).lower()
    return all(word in text for word in words.lower().split())


def _pages(words: str) -> list[Hit]:
    known = [(title, address) for _, entries in MENU for _, address, title in entries]
    return [
        Hit("page", title, address) for title, address in (*known, *ALSO) if _fits(words, title)
    ]


def _of_programme(pages: Pages, tx: Transaction, words: str) -> list[Hit]:
    if not words:
        return []
    world = pages.world(tx)
    compiled = pages.app.worlds.compiled(tx, world.programme.version)
    found = [
        Hit("journey", journey.title or name, f"/journeys/{name}", name)
        for name, journey in world.programme.journeys.items()
        if _fits(words, name, journey.title)
    ]
    for one in compiled.segments:
        word = one.name.partition(".")[2]
        if _fits(words, word.replace("_", " "), one.doc):
            found.append(Hit("segment", word.replace("_", " "), f"/segments/{word}", one.doc))
    templates = {
        path.partition("/")[2].partition(".")[0]
        for path in compiled.templates
        if not path.partition("/")[2].startswith(("_", "layout"))
    }
    found += [
        Hit("template", name, f"/templates/{name}")
        for name in sorted(templates)
        if _fits(words, name.replace("-", " "), name)
    ]
    return found


def _people(pages: Pages, tx: Transaction, words: str, *, by_name: bool) -> list[Hit]:
    numbers: dict[CustomerId, str] = {}
    try:
        exact = find_customer(tx, words)
    except Refusal:
        pass
    else:
        numbers[exact] = person_name(exact, tx.personal.of_many([exact]).get(exact, {}))
    if by_name:
        for number, name in pages.names.search(tx, words, MOST // 2):
            numbers.setdefault(number, name)
    return [
        Hit("customer", name, f"/customers/{number}", f"customer {number}")
        for number, name in numbers.items()
    ]
