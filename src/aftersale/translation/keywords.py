"""Does a text message ask to stop, to start or for help?

The words are the union of what carriers and providers heed (CTIA, Twilio, AWS, Telnyx; ARRET and
TD in Canada). In the United States any reasonable manner counts (47 CFR 64.1200(a)(10)), so a few
plain sentences count as well. YES is no permission by itself: it only answers a question.
"""

import re

STOP, START, HELP = "stop", "start", "help"

_WORDS = {
    **dict.fromkeys(
        (
            *("stop", "stopall", "stop all", "unsubscribe", "cancel", "end", "quit", "revoke"),
            *("optout", "opt out", "remove", "arret", "arrêt", "td"),
        ),
        STOP,
    ),
    **dict.fromkeys(("start", "unstop"), START),
    **dict.fromkeys(("help", "info"), HELP),
}
_SENTENCES = re.compile(
    r"\b(stop (texting|messaging|sending|contacting|writing)|(please|pls) stop|stop (it|this|now)"
    r"|unsubscribe me|opt me out|remove me|take me off|do not text|don'?t text|no m[aá]s"
    r"|no more (texts|messages))\b"
)
_NO_LETTERS = re.compile(r"[^\w\s']+")


def keyword(message: str) -> str:
    """stop, start or help, where the message says that and nothing else; else nothing."""
    said = " ".join(_NO_LETTERS.sub(" ", message[:1_000].casefold().replace("’", "'")).split())
    if said in _WORDS:
        return _WORDS[said]
    return STOP if _SENTENCES.search(said) else ""
