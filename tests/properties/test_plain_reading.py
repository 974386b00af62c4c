"""A page that is read quickly is read as the standard library's parser reads it."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

import aftersale.programme
from aftersale.messages.compose import Envelope, compose
from aftersale.messages.facts import SAMPLE
from aftersale.messages.reading import read, read_any, read_plain
from aftersale.messages.template import Templates

STARTER = Path(aftersale.programme.__file__).parent / "starter" / "templates"

TAGS = st.sampled_from(
    ["a", "p", "br", "b", "div", "h1", "ul", "ol", "li", "table", "tr", "td", "img", "hr", "pre"]
).flatmap(
    lambda usual: st.sampled_from(
        [usual, usual, "head", "title", "style", "script", "textarea", "noscript", "A", "o:p", "p1"]
    )
)
TEXTS = st.one_of(
    st.sampled_from(
        ["", " ", "\n", "x", " y ", "a  b", "\xa0", "\x00", "'", '"', ">", "<", "< b", "</", "<!--"]
    ),
    st.sampled_from(
        ["-->", "<!x>", "<?", "&amp;", "&lt;b&gt;", "&", "&#34;", "&#x3d;", "&nbsp", "&notit;"]
    ),
    st.text(max_size=8),
)
NAMES = st.sampled_from(["href", "src", "alt", "style", "hidden", "HREF", "data-x", "class", "@"])
VALUES = st.one_of(st.sampled_from(["display:none", "https://x.example/?a=1&amp;b=2"]), TEXTS)
ATTRIBUTES = st.builds(
    "{0}{1}{2}".format,
    st.sampled_from([" ", "\n", "  ", "", "/"]),
    NAMES,
    st.one_of(
        st.just(""),
        st.builds('="{}"'.format, VALUES),
        st.builds("='{}'".format, VALUES),
        st.builds("={}".format, VALUES),
    ),
)
STARTS = st.builds(
    "<{0}{1}{2}>".format,
    TAGS,
    st.lists(ATTRIBUTES, max_size=3).map("".join),
    st.sampled_from(["", "", "", " ", "/", " /", "\t"]),
)
ENDS = st.builds("</{0}{1}>".format, TAGS, st.sampled_from(["", "", "", " ", " x"]))
PAGES = st.lists(st.one_of(STARTS, ENDS, TEXTS, st.just("<!doctype html>")), max_size=12)

PLAIN_TAGS = st.sampled_from(sorted({"a", "p", "br", "b", "div", "li", "ul", "td", "img", "pre"}))
PLAIN_VALUES = st.text("aA1 :/&;#>'\n\t\xa0é", max_size=12).map(
    lambda text: text.replace("&", "&amp;")
)
PLAIN_STARTS = st.builds(
    "<{0}{1}>".format,
    PLAIN_TAGS,
    st.lists(
        st.builds(' {0}="{1}"'.format, st.sampled_from(["href", "alt", "title"]), PLAIN_VALUES),
        max_size=2,
    ).map("".join),
)
PLAIN_PAGES = st.lists(
    st.one_of(PLAIN_STARTS, PLAIN_TAGS.map("</{}>".format), st.text("a &;\n\xa0>", max_size=6)),
    max_size=12,
)


@given(PAGES)
def test_whatever_the_page_both_readings_are_the_same(pieces: list[str]) -> None:
    """A page is read in the same way whether it is plain or not; nothing makes reading fail."""
    page = "".join(pieces)
    quick = read_plain(page)
    assert quick in {None, read_any(page)}
    assert read(page) == read_any(page)


@given(PLAIN_PAGES)
def test_closed_tags_with_quoted_attributes_are_plain(pieces: list[str]) -> None:
    """What a template makes of simple HTML needs no second look."""
    page = "".join(pieces)
    assert read_plain(page) == read_any(page)


def test_every_message_of_the_starter_programme_is_plain() -> None:
    """The mails that a new installation sends are read quickly, in both languages."""
    templates = Templates(
        {f"templates/{path.name}": path.read_text("utf-8") for path in STARTER.iterdir()}
    )
    envelope = Envelope(
        key="k",
        sender_name="Lindenhof",
        sender_address="hello@shop.example",
        to="ada@customer.example",
        message_id_domain="shop.example",
        purpose="marketing",
        unsubscribe_url="https://shop.example/u/1.abc?x=1&y=2",
        preferences_url="https://shop.example/p/1.abc",
    )
    for name in templates.names():
        for locale in ("en", "de"):
            template = templates.find(name, "", locale)
            assert template is not None
            html = compose(template, facts=SAMPLE, envelope=envelope).html
            assert read_plain(html) == read_any(html), template.file


def test_a_page_that_never_closes_what_it_opens_is_read_in_time() -> None:
    """The length of a page decides how long reading takes, not what somebody hid in it."""
    for piece in ('<a href="', "<a ", "<p x=", "<style>", "<", "&"):
        read_plain(piece * 30_000)
