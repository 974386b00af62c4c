"""Does a message say what it should, to whom it should, and nothing else?"""

import time
from email.message import EmailMessage
from email.policy import SMTP
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import aftersale.programme
from aftersale.kernel.errors import Refusal
from aftersale.kernel.instants import parse_instant
from aftersale.messages.compose import Envelope, Message, compose
from aftersale.messages.facts import FIELDS, SAMPLE, clean
from aftersale.messages.links import sign, verify
from aftersale.messages.reading import read
from aftersale.messages.template import Problem, Templates
from aftersale.messages.wording import format_amount, format_date

ROOT = Path(__file__).parents[2]
STARTER = Path(aftersale.programme.__file__).parent / "starter" / "templates"
FILES = {f"templates/{path.name}": path.read_text("utf-8") for path in STARTER.iterdir()}
TEMPLATES = Templates(FILES)
UNSUBSCRIBE = "https://shop.example/u/1.abc?x=1&y=2"
NAMES = [
    "delivered",
    "education-consumable",
    "education-durable",
    "education-service",
    "order-confirmation",
    "refill-last-call",
    "refill-reminder",
    "review-request",
    "shipment",
    "win-back",
]


def envelope(**changes: str) -> Envelope:
    given_ = {
        "key": "refill:1:42:10042:2:1:email",
        "sender_name": "Lindenhof",
        "sender_address": "hello@shop.example",
        "to": "ada@customer.example",
        "message_id_domain": "shop.example",
        "purpose": "marketing",
        "unsubscribe_url": UNSUBSCRIBE,
    }
    return Envelope(**{**given_, **changes})


def written(
    body: str, *, subject: str = "Hello", facts: dict | None = None, **more: str
) -> Message:
    """A message of one template without a layout, so that nothing distracts."""
    files = {"templates/note.liquid": f"---\nsubject: {subject}\n---\n{body}", **more}
    template = Templates(files).find("note")
    assert template is not None
    return compose(
        template,
        facts=SAMPLE if facts is None else facts,
        envelope=envelope(purpose="transactional"),
    )


class Tags(HTMLParser):
    """Collects tags, and what is open at the end."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.seen.add(tag)
        if tag not in {"meta", "br", "img", "hr"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


# --- the starter templates ---------------------------------------------------------------


def test_the_starter_has_each_message_in_english_and_german_and_nothing_to_complain_about():
    assert TEMPLATES.names() == NAMES
    assert {
        f"templates/{name}{end}" for name in [*NAMES, "layout"] for end in (".liquid", ".de.liquid")
    } == set(FILES)
    assert TEMPLATES.check() == []


@pytest.mark.parametrize("purpose", ["marketing", "transactional"])
@pytest.mark.parametrize("facts", [SAMPLE, {}], ids=["full", "minimal"])
@pytest.mark.parametrize("locale", ["en-GB", "de-AT"])
@pytest.mark.parametrize("name", NAMES)
def test_a_starter_message_is_whole_whatever_is_known(name, locale, facts, purpose):
    template = TEMPLATES.find(name, "main", locale)
    assert template is not None
    assert template.locale == locale[:2]
    message = compose(template, facts=facts, envelope=envelope(purpose=purpose))
    tags = Tags(message.html)
    assert tags.open == []
    assert {"html", "title", "style", "h1", "table"} <= tags.seen
    assert f'lang="{locale[:2]}" dir="ltr"' in message.html
    for part in (message.subject, message.html, message.text):
        assert part.strip()
        assert "{{" not in part
        assert "{%" not in part
        assert "None" not in part
    for part in (message.subject, message.text):
        assert " ," not in part
        assert " ." not in part
        assert " ?" not in part
    assert "<" not in message.text
    assert message.subject == " ".join(message.subject.split())
    assert (UNSUBSCRIBE in message.text) == (purpose == "marketing")
    assert ("List-Unsubscribe" in message.headers) == (purpose == "marketing")
    if facts:
        assert SAMPLE["shop"]["address"] in message.text


@pytest.mark.parametrize(
    "name", [name for name in NAMES if name not in {"order-confirmation", "shipment", "delivered"}]
)
@pytest.mark.parametrize("locale", ["en", "de"])
def test_a_marketing_message_says_what_is_in_it_for_the_customer(name, locale):
    message = compose(TEMPLATES.find(name, "", locale), facts=SAMPLE, envelope=envelope())
    assert SAMPLE["benefit"] in message.text


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "person",
    [
        '<script>alert("1")</script>',
        "x" * 200,
        "Zoë 🌿👩‍👩‍👧",
        "فاطمة الزهراء",
        "{{ shop.name }}{% if order %}",
        "Ada\r\nBcc: all@shop.example",
        "\u202eAda\x00\ud800",
    ],
    ids=["script", "long", "emoji", "right-to-left", "liquid", "header", "harmful"],
)
def test_a_name_is_only_ever_a_name(name, person):
    facts = {**SAMPLE, "customer": {"name": person, "first_name": person}}
    message = compose(TEMPLATES.find(name), facts=facts, envelope=envelope())
    assert "script" not in Tags(message.html).seen
    shown = " ".join(clean({"name": person})["name"].split())
    assert shown in " ".join(message.text.split())
    assert "\u202e" not in message.html + message.subject
    assert not set("\r\n\x00") & set(message.subject + "".join(message.headers.values()))
    assert len(message.subject) <= 250
    mail = EmailMessage(policy=SMTP)
    for field, value in message.headers.items():
        mail[field] = value
    mail.set_content(message.text)
    assert mail["Bcc"] is None
    mail.as_bytes()


def test_the_text_part_reads_like_a_letter():
    message = compose(TEMPLATES.find("order-confirmation"), facts=SAMPLE, envelope=envelope())
    assert message.subject == "We have your order 10042"
    assert message.text.startswith(
        "Lindenhof: https://shop.example\n\n"
        "Thank you, Ada.\n\n"
        "We have your order 10042 of 3 March 2026 and are getting it ready."
        " It should be with you by 6 March 2026.\n\n"
        "2 × House coffee, 500 g  £24.00\n"
        "1 × Paper filters  £7.40\n"
        "Total  £31.40\n\n"
        "See your order: https://shop.example/o/token\n\n"
    )


# --- finding -----------------------------------------------------------------------------


def test_the_most_particular_file_wins():
    order = ["note.north.de-AT", "note.north.de", "note.north", "note.de-AT", "note.de", "note"]
    files = {f"templates/{stem}.liquid": f"---\nsubject: {stem}\n---\nx" for stem in order}
    for stem in order:
        template = Templates(files).find("note", "north", "de_at")
        assert template is not None
        assert template.file == f"templates/{stem}.liquid"
        del files[template.file]
    assert Templates(files).find("note", "north", "de-AT") is None


def test_layouts_pieces_and_text_parts_are_no_messages():
    templates = Templates({**FILES, "templates/_x.liquid": "x", "journeys/a.yaml": "a"})
    assert templates.names() == NAMES
    assert templates.find("layout") is None
    assert templates.find("_x") is None


def test_the_layout_is_in_the_language_of_the_words():
    files = dict(FILES)
    del files["templates/win-back.de.liquid"]
    message = compose(
        Templates(files).find("win-back", "", "de"), facts=SAMPLE, envelope=envelope()
    )
    assert "Unsubscribe: " in message.text
    assert "Abmelden" not in message.text


def test_a_text_part_of_its_own_keeps_its_lines_and_gets_the_footer():
    files = {**FILES, "templates/win-back.txt.liquid": "Dear {{ customer.name }},\n\n  & so on"}
    templates = Templates(files)
    assert templates.check() == []
    facts = {**SAMPLE, "customer": {"name": "A <b>"}}
    text = compose(templates.find("win-back"), facts=facts, envelope=envelope()).text
    assert "Dear A <b>,\n\n  & so on\n" in text
    assert f"Unsubscribe: {UNSUBSCRIBE}" in text


# --- what an author is told --------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "line", "what", "hint"),
    [
        ("<p>\n{{ order.nubmer }}", 5, "order has no field nubmer", "did you mean number?"),
        ("\n\n{{ oder.number }}", 6, "there is no fact oder", "did you mean order?"),
        ("{{ now }}", 4, "there is no fact now", "known are"),
        ("{% if order %}\n", 5, "ends too early", "still open"),
        ("\n{{ order.number | shout }}", 5, "unknown filter 'shout'", "filters that exist"),
        ("{{ 'now' | date: '%Y' }}", 4, "unknown filter 'date'", ""),
        ("{% include 'layout' %}", 4, "unexpected tag 'include'", ""),
        ("{% for i in (1..3) %}{% endfor %}", 4, "ranges", "loop over a list"),
        ("\n{% render '_gone' %}", 5, "_gone", "begins with _"),
        ("{% render '_piece' %}", 2, "order has no field nubmer", "did you mean number?"),
        ("{% render '/etc/passwd' %}", 4, "no piece", ""),
    ],
)
def test_a_problem_has_its_line_and_a_hint(body, line, what, hint):
    files = {
        **FILES,
        "templates/note.liquid": f"---\nsubject: Hello\n---\n{body}",
        "templates/_piece.liquid": "<p>\n{{ order.nubmer }}",
    }
    problem, *_ = Templates(files).check()
    assert (problem.line, what in problem.what, hint in problem.hint) == (line, True, True), problem
    piece = line == 2
    assert problem.file == ("templates/_piece.liquid" if piece else "templates/note.liquid")


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("<p>Hi</p>", "the message has no subject"),
        ("---\nsubject: a\n<p>Hi</p>", "the front matter does not end"),
        ("---\nsubject: a\ncolour: b\n---\n", "'colour' is not known here"),
        ("---\nsubject: a {{ b\n---\n", ""),
    ],
)
def test_front_matter_is_checked_and_an_unsound_template_is_not_sent(source, problem):
    templates = Templates({**FILES, "templates/note.liquid": source})
    assert any(problem in found.what for found in templates.check())
    with pytest.raises(Refusal, match=r"templates/note\.liquid"):
        templates.find("note")


def test_a_programme_without_layout_hears_about_it():
    assert Templates({"templates/a.liquid": "---\nsubject: a\n---\na"}).check() == [
        Problem(
            "templates/layout.liquid",
            1,
            "there is no layout",
            "copy the one of the starter programme; it holds the unsubscribe link",
        )
    ]


def test_a_missing_fact_is_refused_with_its_line_and_not_left_blank():
    with pytest.raises(Refusal) as refused:
        written("<p>\n\n{{ order.number }}</p>", facts={"order": {"number": ""}})
    assert refused.value.where == "templates/note.liquid:6"
    assert refused.value.why == "order is missing"
    assert "{% if order %}" in refused.value.hint


def test_every_fact_is_in_the_manual():
    page = (ROOT / "docs" / "reference" / "templates.md").read_text("utf-8")
    for name, fields in FIELDS.items():
        for field in fields or {""}:
            assert f"`{name}.{field}`".replace(".`", "`") in page


# --- harm --------------------------------------------------------------------------------

LIST = "{% assign list = 'a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a' | split: ',' %}"


@pytest.mark.parametrize(
    "body",
    [
        LIST + "{% for a in list %}" * 9 + "x" + "{% endfor %}" * 9,
        LIST + "{% for a in list %}{% for b in list %}" + "x" * 20_000 + "{% endfor %}" * 2,
        "{% assign a = 'aaaaaaaaaa' %}" + "{% assign a = a | replace: 'a', a %}" * 9,
        "{% assign a = 'a' %}" + "{% assign a = a | append: a %}" * 60,
        "{% capture a %}aaaaaaaa{% endcapture %}"
        + "{% capture a %}{{ a }}{{ a }}{{ a }}{{ a }}{% endcapture %}" * 30,
        "{% assign s = 'a,a,a,a' %}" + "{% assign s = s | split: '' | join: s %}" * 30,
        "{% assign a = 9 %}" + "{% assign a = a | times: a %}" * 60,
        "{% render '_again' %}",
    ],
    ids=["loops", "output", "replace", "append", "capture", "join", "numbers", "recursion"],
)
def test_a_template_that_would_not_end_is_refused_quickly(body):
    began = time.thread_time()
    with pytest.raises(Refusal, match=r"templates/(note|_again)\.liquid"):
        written(body, **{"templates/_again.liquid": "{% render '_again' %}{% render '_again' %}"})
    assert time.thread_time() - began < 2


@pytest.mark.parametrize(
    "filter_",
    [
        "upcase",
        "append: '<b>'",
        "prepend: '<b>'",
        "newline_to_br",
        "split: '' | join: '<i>'",
        "escape",
        "replace: 'a', '<u>'",
        "truncate: 9",
        "slice: 0, 12",
        "default: 'x'",
        "strip",
        "capitalize",
        "url_encode",
        "remove: 'x'",
        "squish",
        "strip_newlines",
        "split: ' ' | first",
        "truncatewords: 1",
    ],
)
def test_no_filter_lets_a_fact_become_markup(filter_):
    bad = "<img src=x onerror=alert(1)>\n<script>"
    body = "{% assign a = customer.name | " + filter_ + " %}<p>{{ a }}</p>"
    seen = Tags.__new__(Tags)
    HTMLParser.__init__(seen)
    seen.seen, seen.open = set(), []
    seen.handle_endtag = lambda tag: None
    seen.feed(written(body, facts={"customer": {"name": bad}}).html)
    assert seen.seen <= {"p", "b", "i", "u", "br"}


def test_an_address_that_is_none_is_dropped_from_the_facts_and_refused_in_a_template():
    for address in ("javascript:alert(1)", "/relative", "https://a b", 'https://a"b', "data:x"):
        facts = {"product": {"name": "x", "url": address}, "links": {"order": address}}
        assert clean(facts) == {"product": {"name": "x"}}
    for address in ("javascript:alert(1)", "{{ customer.name }}", " JavaScript:x"):
        with pytest.raises(Refusal, match="points to"):
            written(f'<a href="{address}">x</a>', facts={"customer": {"name": "javascript:x"}})


@given(
    st.recursive(
        st.none() | st.text() | st.integers() | st.floats(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["name", "url", "lines", "number"]), inner)
        ),
        max_leaves=12,
    )
)
def test_facts_are_cleaned_once_and_for_all(value):
    once = clean({"order": value, "links": value})
    assert repr(clean(once)) == repr(once)
    repr(once).encode()


# --- the envelope ------------------------------------------------------------------------


def test_headers_are_complete_and_the_same_each_time():
    template = TEMPLATES.find("win-back")
    message = compose(template, facts=SAMPLE, envelope=envelope(reply_to="help@shop.example"))
    assert message == compose(
        template, facts=SAMPLE, envelope=envelope(reply_to="help@shop.example")
    )
    assert message.headers == {
        "From": '"Lindenhof" <hello@shop.example>',
        "To": "ada@customer.example",
        "Reply-To": "help@shop.example",
        "Subject": "Ada, it has been a while",
        "Message-ID": message.headers["Message-ID"],
        "List-Unsubscribe": f"<{UNSUBSCRIBE}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        "X-Aftersale-Key": "refill:1:42:10042:2:1:email",
    }
    other = compose(template, facts=SAMPLE, envelope=envelope(key="other"))
    assert other.headers["Message-ID"] != message.headers["Message-ID"]
    assert message.headers["Message-ID"].endswith("@shop.example>")


@pytest.mark.parametrize(
    "changes",
    [
        {"to": "ada@customer.example\r\nBcc: all@shop.example"},
        {"to": "ada@customer.example, ben@customer.example"},
        {"to": "ada"},
        {"to": ""},
        {"sender_address": "hello@shop.example>\nX: y"},
        {"reply_to": "a@b\n.example"},
        {"message_id_domain": "shop.example>\r\nX: y"},
        {"unsubscribe_url": "https://shop.example/\r\nX: y"},
        {"unsubscribe_url": "https://shop.example/>, <mailto:x@y.example"},
        {"unsubscribe_url": ""},
    ],
)
def test_an_address_that_could_break_a_header_is_refused(changes):
    with pytest.raises(Refusal):
        compose(TEMPLATES.find("win-back"), facts=SAMPLE, envelope=envelope(**changes))


def test_names_subjects_and_keys_are_cleaned():
    message = written(
        "x", subject="Grüße {{ customer.name }}", facts={"customer": {"name": "a\n\rb\u2028c"}}
    )
    assert message.subject == message.headers["Subject"] == "Grüße a b c"
    headers = compose(
        TEMPLATES.find("win-back"),
        facts=SAMPLE,
        envelope=envelope(sender_name='Höfe, "Linden"\r\nX: y', key="a b\r\nc:ü"),
    ).headers
    assert headers["From"] == '"Höfe, \\"Linden\\" X: y" <hello@shop.example>'
    assert headers["X-Aftersale-Key"] == "a%20b%0D%0Ac:%C3%BC"


def test_marketing_without_a_visible_way_out_is_refused():
    templates = Templates({"templates/a.liquid": "---\nsubject: a\n---\n<p>a</p>"})
    with pytest.raises(Refusal, match="shows no unsubscribe link"):
        compose(templates.find("a"), facts={}, envelope=envelope())


def test_another_channel_needs_no_mail_address():
    message = compose(
        TEMPLATES.find("shipment"),
        facts=SAMPLE,
        envelope=envelope(channel="sms", to="+491700000000", purpose="transactional"),
    )
    assert message.headers == {"X-Aftersale-Key": message.key}


# --- reading, wording, links -------------------------------------------------------------


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<h1>A</h1><p>b<br>c</p>", "A\n\nb\nc\n"),
        ("<p>a <b>b</b>c <i> d</i></p>", "a bc d\n"),
        ("<ul><li>a<ul><li>b</li></ul></li><li>c</li></ul>", "- a\n  - b\n- c\n"),
        ("<ol><li>a</li><li>b</li></ol><p>c</p>", "1. a\n2. b\n\nc\n"),
        ('<a href="https://x.example">https://x.example</a>', "https://x.example\n"),
        ('<a href="mailto:a@x.example">Mail</a>', "Mail: a@x.example\n"),
        (
            '<a href="https://x.example"><img src="https://x.example/i" alt="Pot"></a>',
            "Pot: https://x.example\n",
        ),
        ("<p hidden>a</p><div style='display:none'><p>b</p></div><p>c</p>", "c\n"),
        ("<style>a</style><p>&lt;b&gt; &amp; &nbsp;</p>", "<b> & \n".replace(" \n", "\n")),
        ("<pre>a\n  b\n\nc</pre>", "a\n  b\n\nc\n"),
        ("<p>a</i></p></div><p>b", "a\n\nb\n"),
        ("", ""),
    ],
)
def test_html_is_read_as_text(html, text):
    assert read(html).text == text


@pytest.mark.parametrize(
    ("locale", "date", "amount"),
    [
        ("en-GB", "1 March 2026", "€1,234.50"),
        ("en-US", "March 1, 2026", "€1,234.50"),
        ("de", "1. März 2026", "1.234,50 €"),
        ("de-AT", "1. März 2026", "€ 1.234,50"),
        ("de-CH", "1. März 2026", "€ 1’234.50"),
        ("fr-FR", "1er mars 2026", "1\u202f234,50 €"),
        ("pt-BR", "1 de março de 2026", "€ 1.234,50"),
        ("es", "1 de marzo de 2026", "1234,50 €"),
        ("it", "1 marzo 2026", "1.234,50 €"),
        ("nl", "1 maart 2026", "€ 1.234,50"),
        ("ja-JP", "2026-03-01", "1234.50 EUR"),
        ("", "2026-03-01", "1234.50 EUR"),
    ],
)
def test_dates_and_amounts_are_written_as_the_customer_writes_them(locale, date, amount):
    late = parse_instant("2026-02-28T23:30:00Z")
    assert format_date(late, "Europe/Berlin", locale) == date
    assert format_amount(123450, "EUR", locale).replace("\u00a0", " ") == amount


def test_currencies_keep_their_places_and_signs():
    assert format_amount(-5, "USD", "en-US") == "-$0.05"
    assert format_amount(1200, "JPY", "en") == "¥1,200"
    assert format_amount(1500, "CHF", "en") == "CHF\u00a015.00"
    assert format_amount(1500, "KWD", "de") == "1,500\u00a0KWD"
    assert (
        format_date(parse_instant("2026-01-06T12:00:00Z"), "Europe/Vienna", "de-AT")
        == "6. Jänner 2026"
    )


SECRET = b"a secret of the store"


@given(
    st.text(max_size=20), st.lists(st.text(st.characters(codec="utf-8"), max_size=20), max_size=4)
)
def test_a_token_gives_back_what_was_signed(purpose, parts):
    try:
        purpose.encode()
    except UnicodeEncodeError:
        return
    token = sign(SECRET, purpose, *parts)
    assert verify(SECRET, purpose, token) == tuple(parts)
    assert verify(SECRET, purpose + "x", token) is None
    assert verify(b"another", purpose, token) is None


def test_a_token_that_was_touched_is_worth_nothing():
    token = sign(SECRET, "unsubscribe", "42", "marketing")
    assert token.replace(".", "").replace("-", "").replace("_", "").isalnum()
    for place, old in enumerate(token):
        for new in {"A", "b", "9", ".", "_", "ü", "=", " "} - {old}:
            assert verify(SECRET, "unsubscribe", token[:place] + new + token[place + 1 :]) is None
        assert verify(SECRET, "unsubscribe", token[:place]) is None
    for more in ("A", "=", ".", "\n", "\x00"):
        assert verify(SECRET, "unsubscribe", token + more) is None
    assert verify(SECRET, "preferences", token) is None
    assert verify(SECRET, "unsubscribe", sign(SECRET, "unsubscribe", "43", "marketing")) != (
        "42",
        "marketing",
    )


def test_an_empty_secret_signs_nothing():
    with pytest.raises(ValueError, match="empty secret"):
        sign(b"", "unsubscribe", "42")
