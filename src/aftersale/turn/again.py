"""May a message that was decided still go out now?

Judged at the claim, in its transaction: consent, address, quiet hours and usefulness always; all
gates when the customer's row has moved since the decision. The message itself is already among
the customer's contacts and does not count against itself.
"""

import msgspec

from aftersale.customers.whereabouts import whereabouts
from aftersale.gates import chain
from aftersale.gates.rules import address, consent, quiet_hours
from aftersale.gates.standing import Intent, Standing
from aftersale.gates.verdict import Allow, Defer, Deny, Verdict
from aftersale.kernel.instants import Instant
from aftersale.turn.programme import World
from aftersale.turn.state import State

_ALWAYS = (consent, address, quiet_hours)


def judge_again(
    intent: Intent, state: State, world: World, now: Instant, *, moved: bool
) -> Verdict:
    """The verdict at the claim; a needless or useless message is denied."""
    if now >= intent.useful_until:
        return Deny("too-late")
    policy = world.programme.policy
    others = [c for c in state.contacts if not (c.journey == intent.journey and c.at == intent.at)]
    customer = Standing(state.profile, others, whereabouts(state.profile, policy.zone))
    if moved:
        # What a slot saw as helpful evidence was judged there; here the rest is asked again.
        return chain.judge(msgspec.structs.replace(intent, evidence=True), customer, policy, now)[0]
    for gate in _ALWAYS:
        verdict: Verdict = gate.judge(intent, customer, policy, now)
        if isinstance(verdict, (Defer, Deny)):
            return verdict
    return Allow()
