"""What does a decision say in words?

Words are computed from the codes and values of a decision, never stored. The same words serve
the command line, the pages and the customer's own page.
"""

from typing import Any

import msgspec

from aftersale.gates.chain import NAMES
from aftersale.gates.verdict import REASONS
from aftersale.kernel.instants import Duration, Instant, as_datetime, format_duration
from aftersale.kernel.zones import wall
from aftersale.turn.decision import Decision, decision_name

RUN_REASONS = {
    "stale": "the event was too old when it arrived",
    "paused": "the journey is paused",
    "re-entry": "the customer went through it too recently",
    "running": "it is running for the same thing already",
    "too-many-runs": "the customer is in as many journeys as the policy allows",
    "displaced": "a more valuable journey took its place",
    "cancelled": "what it is about was cancelled",
    "returned": "what it is about was sent back",
    "moved": "it began anew with a later purchase, or its date moved",
    "migrated": "it moved to the new version of the journey",
    "no-date": "the date it waits for is not known",
    "no-version": "its version of the journey is gone",
    "exit-event": "an event came that ends it",
    "exit-step": "it came to an exit",
    "endless": "it went round in circles",
    "before-we-knew": "it went out before we knew",
}
"""Reasons of decisions about runs; those about messages are in `gates/verdict.py`."""

GATE_WORDS = {
    "consent": "Consent",
    "address": "Address",
    "benefit": "Benefit to the customer",
    "relevance": "Relevance",
    "empathy": "No promotion into trouble",
    "fatigue": "Limits of messages",
    "quiet_hours": "Quiet hours",
}


class GateLine(msgspec.Struct, frozen=True):
    """What one gate said."""

    gate: str
    verdict: str
    """allowed, deferred or denied."""
    text: str
    saw: Any = None
    until: Instant | None = None


class Explanation(msgspec.Struct, frozen=True):
    """A decision in words, with what it rests on."""

    name: str
    sentence: str
    at: Instant
    now: Instant
    kind: str
    journey: str
    version: int
    run: str
    step: str
    reason: str
    gates: tuple[GateLine, ...] = ()
    facts: dict[str, Any] = {}


def moment(instant: Instant, zone: str) -> str:
    """A moment as the reader's clock shows it: `Tue 3 Mar 2026 10:11`."""
    shown = as_datetime(wall(instant, zone))
    return f"{shown:%a} {shown.day} {shown:%b %Y %H:%M}"


def reason_words(reason: str) -> str:
    """The words of a reason code."""
    known = REASONS.get(reason)
    return known.text if known else RUN_REASONS.get(reason, reason.replace("-", " "))


def explain(decision: Decision, zone: str = "UTC") -> Explanation:
    """The decision in words, moments on the clock of the zone."""
    return Explanation(
        name=decision_name(decision.customer, decision.seq),
        sentence=sentence(decision, zone),
        at=decision.at,
        now=decision.now,
        kind=decision.kind,
        journey=decision.journey,
        version=decision.version,
        run=decision.run,
        step=decision.step,
        reason=decision.reason,
        gates=gate_lines(decision, zone),
        facts=_facts(decision, zone),
    )


def sentence(decision: Decision, zone: str = "UTC") -> str:
    """One sentence that says what was decided and why."""
    about = f" for {_thing(decision.run)}" if decision.run else ""
    if decision.kind in {"send", "would-send", "hold", "defer"}:
        return _of_message(decision, about, zone)
    return _of_run(decision, about, zone)


def _of_message(decision: Decision, about: str, zone: str) -> str:
    step, values = decision.step.removeprefix("send-"), decision.values
    why = reason_words(decision.reason)
    match decision.kind:
        case "send":
            return f"Sent {step}{about}: every gate allowed it."
        case "would-send":
            return f"Not sent: {step}{about}. Reason: {why}; it would have been sent."
        case "defer":
            until = f", next try not before {moment(values[1], zone)}" if len(values) > 1 else ""
            return f"Held {step} back for now{about}: {why}{until}."
        case _ if decision.reason == "called-off" and len(values) > 1:
            return f"Not sent: {step}{about}. Reason: {why} on {moment(values[1], zone)}."
        case _:
            return f"Not sent: {step}{about}. Reason: {why}."


def _of_run(decision: Decision, about: str, zone: str) -> str:
    journey, values = decision.journey, decision.values
    why = reason_words(decision.reason)
    match decision.kind:
        case "start":
            again = " anew, bought again" if decision.reason == "moved" else ""
            return f"{journey} began{again}{about}."
        case "refuse":
            return f"{journey} did not begin{about}: {why}."
        case "task":
            owner = f" for {values[1]}" if len(values) > 1 and values[1] else ""
            return f"Made the task {values[0] if values else decision.step}{owner}."
        case "branch":
            way = values[0] + 1 if values else "?"
            return f"{journey} took way {way} at {decision.step}{about}."
        case "wait" if decision.reason == "moved" and len(values) > 1:
            new, old = moment(values[1], zone), moment(values[0], zone)
            return f"{journey}{about} waits until {new} instead of {old}: its date moved."
        case "goal":
            return f"{journey} reached its goal{about}."
        case "late" if len(values) > 1:
            known = moment(values[1], zone)
            return f"{journey}{about} would not have written, had we known of {known} in time."
        case _:
            ended = "" if decision.kind == "wait" else " ended"
            return f"{journey}{ended}{about}: {why}."


def gate_lines(decision: Decision, zone: str = "UTC") -> tuple[GateLine, ...]:
    """What every gate said, in the order in which they are asked."""
    if decision.kind not in {"send", "hold", "defer", "would-send"} or not decision.values:
        return ()
    lines = []
    for name, row in zip(NAMES, decision.values[0], strict=False):
        code = row[0]
        if code == 0:
            saw = row[1]
            text = "allows it" if saw in {None, ""} else f"allows it ({_saw(name, saw)})"
            lines.append(GateLine(name, "allowed", text, saw))
        elif code == 1:
            _, reason, until, saw = row
            text = f"{reason_words(reason)}; allows it from {moment(until, zone)}"
            lines.append(GateLine(name, "deferred", text, saw, until))
        else:
            _, reason, saw = row
            lines.append(GateLine(name, "denied", reason_words(reason), saw))
    return tuple(lines)


def _thing(run: str) -> str:
    """What a run is about, as people name it: of a parcel its order."""
    return run.partition("#")[0]


def _saw(gate: str, saw: Any) -> str:
    if gate == "fatigue":
        return f"{saw} counted before it"
    if gate == "quiet_hours":
        return f"zone from the customer's {saw}" if saw != "shop" else "zone of the shop"
    return str(saw)


def _facts(decision: Decision, zone: str) -> dict[str, Any]:
    values = decision.values
    match decision.kind:
        case "send" | "would-send" if len(values) > 2 and values[1] is not None:
            return {"holdout draw": values[1], "value": values[2]}
        case "refuse" if decision.reason == "stale" and values:
            return {"fresh": format_duration(_duration(values[0]))}
        case "refuse" if values:
            return {"last began": moment(values[0], zone)}
        case _:
            return {}


def _duration(value: Any) -> Duration:
    return int(value)
