"""Which keys does a journey file have, and what may stand behind each?

The reader and the published schema are both made of these tables, so they cannot disagree.
"""

import msgspec

from aftersale.events.vocabulary import BODIES, INNER

EVENT_TYPES = tuple(kind for kind in BODIES if kind not in INNER)
ABOUT = ("order", "parcel", "product", "customer")
PURPOSES = ("marketing", "transactional")
CHANNELS = ("email", "sms", "push", "in-app", "best")
BENEFITS = ("information", "experience", "recommendation")


class Key(msgspec.Struct, frozen=True, gc=False):
    """One key of a mapping."""

    name: str
    kind: str
    """What stands behind it: one of the names in `aftersale.programme.schema.KINDS`."""
    doc: str
    needed: bool = False
    choices: tuple[str, ...] = ()


Keys = tuple[Key, ...]

_IF = Key("if", "condition", "What must be true besides.")
_ID = Key("id", "word", "Name of the step; by default its kind and what it names.")

WATCH: Keys = (
    Key("on", "events", "Type of event, or a list of types.", needed=True),
    _IF,
)
START: Keys = (
    Key("on", "events", "Type of event, or a list of types, that begins a run."),
    Key("at", "customer-date", "Date of the customer at which a run begins."),
    _IF,
    Key("fresh", "duration", "Events that arrive later than this begin nothing (3 days)."),
)
GOAL: Keys = (
    *WATCH,
    Key("within", "duration", "How long after the start it counts (30 days)."),
)
BENEFIT: Keys = (
    Key("information", "words", "What the customer learns."),
    Key("experience", "words", "What becomes better for the customer."),
    Key("recommendation", "words", "What is recommended, and why to this customer."),
    Key(
        "evidence",
        "condition",
        "What shows it for this customer: a condition, or a field alone that must have a value"
        " above nothing.",
        needed=True,
    ),
)
WAIT: Keys = (
    Key("for", "duration", "How long; of an event: how long at most."),
    Key("at", "clock", "Then the next time the customer's clock shows this."),
    Key("on", "events", "Until such an event."),
    _IF,
    Key("until", "date", "Until this date, also when it moves."),
    Key("before", "lead", "So long before that date: a duration or a field that is one."),
)
WAIT_STEP: Keys = (Key("wait", "wait", "Stand still.", needed=True), _ID)
SEND_STEP: Keys = (
    Key("send", "template", "Template of the message.", needed=True),
    _ID,
    Key(
        "purpose",
        "choice",
        "marketing needs consent, a benefit and a slot; transactional is an order fact.",
        choices=PURPOSES,
    ),
    Key("channel", "choice", "Way to the customer (email).", choices=CHANNELS),
    Key("benefit", "benefit", "What the customer gets from it; marketing needs one."),
    Key("value", "value", "Worth to the shop, to rank messages: a number or a field."),
    Key("helpful", "boolean", "Keeps a share of the customer's attention."),
    Key("unless", "watch", "An event since the start that makes the message needless."),
    Key("if", "condition", "What must be true when it goes out."),
    Key("useful", "duration", "How long it may wait before it is dropped (7 days)."),
)
ARM: Keys = (
    Key("if", "condition", "When to go this way."),
    Key("else", "nothing", "Go this way where no condition above is met."),
    Key("steps", "steps", "The steps of this way.", needed=True),
)
BRANCH_STEP: Keys = (Key("branch", "arms", "Go the first way that fits.", needed=True), _ID)
TASK_STEP: Keys = (
    Key("task", "word", "What a person shall do.", needed=True),
    _ID,
    Key("owner", "text", "Who does it."),
    Key("due", "duration", "Until when (2 days)."),
)
EXIT_STEP: Keys = (Key("exit", "word", "Leave the journey; why.", needed=True), _ID)
STEPS: dict[str, Keys] = {
    "wait": WAIT_STEP,
    "send": SEND_STEP,
    "branch": BRANCH_STEP,
    "task": TASK_STEP,
    "exit": EXIT_STEP,
}
JOURNEY: Keys = (
    Key("journey", "word", "Name: small letters, digits and -.", needed=True),
    Key("title", "text", "Name for people."),
    Key("lineage", "word", "Stays when the journey is renamed; by default the name."),
    Key("about", "choice", "What one run is about.", needed=True, choices=ABOUT),
    Key("key", "event-field", "Field of the starting event that a run is about instead."),
    Key("paused", "boolean", "Begin nothing and move nothing."),
    Key(
        "in_flight",
        "choice",
        "After a change, runs keep the version they began with, or migrate.",
        choices=("keep", "migrate"),
    ),
    Key("holdout", "share", "Share of customers left out to measure; 0 leaves out nobody."),
    Key("reentry", "reentry", "When a run may begin again: always, never, or after a time."),
    Key("start", "start", "What begins a run.", needed=True),
    Key("goal", "goal", "The event the journey is for; it ends the run."),
    Key("exit", "watches", "Events that end the run."),
    Key("steps", "steps", "What happens, in order.", needed=True),
)
