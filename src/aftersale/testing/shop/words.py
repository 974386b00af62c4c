"""What do customers of the Lindenhof write?

A small grammar: an opening, a middle and an end for each mood and language. Whoever writes
neither German nor English writes English.
"""

from aftersale.catalogue.product import Product
from aftersale.testing.shop.stream import Stream

_Sentences = dict[str, tuple[tuple[str, ...], ...]]

_REVIEWS: dict[str, _Sentences] = {
    "en": {
        "good": (
            ("I am glad I chose the {product}.", "The {product} is just right for us.",
             "Second time I bought the {product}.", "Lovely {product}, as described.", ""),
            ("It came well packed.", "The quality is better than I expected.",
             "We use it every day.", "It does one thing and does it well.",
             "Smells wonderful.", "My neighbour wants one too."),
            ("I will order again.", "Thank you!", "Warmly recommended.", "No complaints.", ""),
        ),
        "fair": (
            ("The {product} is all right.", "Decent {product}, nothing special.",
             "Mixed feelings about the {product}."),
            ("A little dear for what it is.", "It took some getting used to.",
             "The lid could close better.", "The description promised slightly more."),
            ("Perhaps I buy it again.", "Fine for now.", ""),
        ),
        "poor": (
            ("I am disappointed by the {product}.", "The {product} did not last.",
             "I cannot recommend the {product}.", "Not what I had hoped for."),
            ("It arrived far too late.", "The box was crushed.",
             "It stopped working after a week.",
             "It tastes stale.", "Nobody answered my question for days."),
            ("I want my money back.", "Never again.", "I expected more from this shop.", ""),
        ),
    },
    "de": {
        "good": (
            ("{product}: genau das, was ich gesucht habe.",
             "Sehr schön, {product} gefällt uns.",
             "Schon zum zweiten Mal gekauft: {product}.", ""),
            ("Gut verpackt angekommen.", "Die Qualität ist besser als erwartet.",
             "Wir benutzen es jeden Tag.", "Duftet wunderbar.",
             "Die Nachbarin will jetzt auch eins."),
            ("Gerne wieder.", "Vielen Dank!", "Klare Empfehlung.", "Nichts auszusetzen.", ""),
        ),
        "fair": (
            ("{product} ist ganz in Ordnung.", "Solide, aber nichts Besonderes: {product}."),
            ("Etwas teuer für das, was es ist.", "Man muss sich daran gewöhnen.",
             "Die Beschreibung verspricht etwas mehr."),
            ("Vielleicht kaufe ich es wieder.", "Für den Anfang gut.", ""),
        ),
        "poor": (
            ("Von {product} bin ich enttäuscht.", "{product} kann ich nicht empfehlen.",
             "Leider nicht das, was ich erwartet hatte."),
            ("Es kam viel zu spät.", "Der Karton war zerdrückt.",
             "Nach einer Woche war es kaputt.", "Schmeckt alt.",
             "Auf meine Frage kam tagelang keine Antwort."),
            ("Ich möchte mein Geld zurück.", "Nie wieder.", "Schade.", ""),
        ),
    },
}  # fmt: skip
_TICKETS: dict[str, _Sentences] = {
    "en": {
        "delivery": (
            ("Hello,", "Good morning,", "Dear team,"),
            ("where is my order {order}?", "order {order} should have been here by now.",
             "the tracking of {order} has not moved for days.",
             "parcel for {order} is missing."),
            ("Please look into it.", "I need it by the weekend.",
             "This is the second time I ask.",
             "Kind regards"),
        ),
        "return": (
            ("Hello,", "Hi,"),
            ("I would like to send something from {order} back.", "how do I return {order}?",
             "part of {order} does not fit our kitchen."),
            ("Is there a label?", "When do I get the money?", "Thanks"),
        ),
        "product": (
            ("Hello,", "Hi there,"),
            ("what came in {order} makes a strange noise.",
             "how do I clean what came in {order}?",
             "something in {order} is broken.", "is there a manual for {order}?"),
            ("Can you help?", "Photos on request.", "Thank you"),
        ),
    },
    "de": {
        "delivery": (
            ("Guten Tag,", "Hallo,", "Liebes Team,"),
            ("wo bleibt meine Bestellung {order}?", "{order} sollte längst da sein.",
             "die Sendungsverfolgung zu {order} steht seit Tagen still."),
            ("Bitte kümmern Sie sich darum.", "Ich brauche es bis zum Wochenende.",
             "Viele Grüße"),
        ),
        "return": (
            ("Guten Tag,", "Hallo,"),
            ("ich möchte etwas aus {order} zurückschicken.", "wie gebe ich {order} zurück?"),
            ("Gibt es ein Etikett?", "Wann kommt die Erstattung?", "Danke"),
        ),
        "product": (
            ("Guten Tag,", "Hallo,"),
            ("in {order} ist etwas defekt.", "wie reinige ich das Gerät aus {order}?",
             "gibt es zu {order} eine Anleitung?"),
            ("Können Sie helfen?", "Fotos schicke ich gern.", "Danke"),
        ),
    },
}  # fmt: skip
_REMARKS: dict[str, dict[str, tuple[str, ...]]] = {
    "en": {
        "good": ("Always a pleasure.", "Quick and friendly.", "Fair prices, good coffee."),
        "fair": (
            "Fine, but shipping is dear.",
            "Could be faster.",
            "More choice of tea, please.",
        ),
        "poor": ("Too late again.", "No answer from support.", "I buy elsewhere now."),
    },
    "de": {
        "good": (
            "Immer wieder gern.",
            "Schnell und freundlich.",
            "Faire Preise, guter Kaffee.",
        ),
        "fair": ("In Ordnung, der Versand ist teuer.", "Könnte schneller gehen."),
        "poor": (
            "Schon wieder zu spät.",
            "Keine Antwort vom Kundendienst.",
            "Ich kaufe woanders.",
        ),
    },
}


def mood_of(rating: int) -> str:
    """Which words fit a rating of 1 to 5."""
    return "good" if rating > 3 else "fair" if rating == 3 else "poor"


def review(stream: Stream, language: str, rating: int, product: Product) -> str:
    """The text of a review."""
    return _say(stream, _REVIEWS[language][mood_of(rating)]).format(product=product.name)


def ticket(stream: Stream, language: str, category: str, order: str) -> str:
    """What somebody writes to the support desk: delivery, return or product."""
    return _say(stream, _TICKETS[language][category]).format(order=order)


def remark(stream: Stream, language: str, rating: int) -> str:
    """One sentence beside a score."""
    return stream.pick(_REMARKS[language][mood_of(rating)])


def _say(stream: Stream, parts: tuple[tuple[str, ...], ...]) -> str:
    return " ".join(sentence for part in parts if (sentence := stream.pick(part)))
