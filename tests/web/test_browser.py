"""Do pages hold together in a browser: every width, both themes, nothing from elsewhere?"""

import gzip
import re
from pathlib import Path
from urllib.parse import quote

import pytest

from browsing import AXE, FINE, MEASURE, open_browser, serving, set_theme

pytestmark = pytest.mark.slow

WIDTHS = (1440, 1024, 390)
BYTES = {"html": 40_000, "css": 15_000, "js": 40_000}
"""Most bytes of a page's parts, as gzip makes them."""
MOST_ELEMENTS = 2_500


@pytest.fixture(scope="module")
def browser():
    with open_browser() as started:
        yield started


@pytest.fixture(scope="module")
def served(lived):
    with serving(lived.site) as address:
        yield address


@pytest.fixture
def page(browser, served, lived):
    context = browser.new_context(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
    context.add_cookies([{"name": "aftersale_session", "value": lived.cookie, "url": served}])
    yield context.new_page()
    context.close()


def addresses(lived):
    with lived.app.store.read() as tx:
        mail = tx.mailbox.newest(limit=1)[0]
        held = tx.decisions.newest(kind="hold", limit=1)[0]
    return [
        "/",
        "/customers",
        f"/customers/{mail.customer}",
        f"/decisions/{held.customer}-{held.seq}",
        "/journeys",
        "/journeys/education",
        "/journeys/refill",
        "/mailbox",
        "/doubts",
        f"/mailbox/message?key={quote(mail.key, safe='')}",
        "/models",
        "/health",
        "/sign-in",
    ]


# Two halves, so that two workers share them.
@pytest.mark.parametrize("half", [0, 1])
def test_every_page_fits_every_width_in_both_themes_and_is_open_to_all(lived, page, served, half):
    """No word too small or cut, nothing overlaps, no sideways scroll, no finding of axe."""
    package = pytest.importorskip("axe_playwright_python")
    axe = (Path(package.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
    wrong: list[str] = []
    page.on("console", lambda said: wrong.append(said.text))
    # The icon of a page that is left at once is given up by the browser itself.
    page.on(
        "requestfailed",
        lambda request: wrong.append(request.url) if "icon" not in request.url else None,
    )
    page.on(
        "request",
        lambda request: None if request.url.startswith(served) else wrong.append(request.url),
    )
    found = {}
    for path in addresses(lived)[half::2]:
        page.set_viewport_size({"width": 1440, "height": 900})
        answer = page.goto(f"{served}{path}")
        assert answer is not None
        assert answer.status == 200, path
        page.evaluate("document.fonts.ready")
        for theme in ("light", "dark"):
            set_theme(page, theme)
            for width in WIDTHS:
                page.set_viewport_size({"width": width, "height": 900})
                measured = page.evaluate(MEASURE)
                if measured != FINE:
                    odd = {key: value for key, value in measured.items() if value != FINE[key]}
                    found[path, theme, width] = odd
        page.evaluate(axe)
        only = ["color-contrast", "link-in-text-block"]
        page.set_viewport_size({"width": 1440, "height": 900})
        for theme, rules in (("dark", only), ("light", None)):
            set_theme(page, theme)
            if violations := page.evaluate(AXE, rules):
                found[path, theme, "axe"] = violations
        if wrong:
            found[path, "asked or said"] = list(wrong)
            wrong.clear()
        assert page.locator("h1").count() == 1, path
        assert page.evaluate("document.querySelectorAll('*').length") <= MOST_ELEMENTS, path
    assert found == {}


def test_pages_are_light(lived, page, served):
    """By their bytes as gzip makes them, in sum with what they load."""
    sizes: dict[str, int] = {}

    def weigh(response):
        body = response.body() if response.status == 200 else b""
        kind = response.headers.get("content-type", "")
        raw = "font" in kind or response.url.endswith("woff2")
        sizes[response.url] = len(body) if raw else len(gzip.compress(body))

    page.on("response", weigh)
    for path in addresses(lived):
        sizes.clear()
        page.goto(f"{served}{path}")
        assert sum(sizes.values()) <= 150_000, (path, sizes)
        for url, size in sizes.items():
            kind = next((name for name in BYTES if re.search(rf"\.{name}$", url)), "html")
            if "woff2" not in url:
                assert size <= BYTES[kind], url


def test_without_scripts_everything_is_there_to_read(lived, browser, served):
    context = browser.new_context(java_script_enabled=False)
    context.add_cookies([{"name": "aftersale_session", "value": lived.cookie, "url": served}])
    page = context.new_page()
    page.goto(f"{served}/journeys/refill")
    assert page.locator(".step").count() >= 5
    page.goto(served)
    page.fill("#q", "emoji@example.com")
    page.press("#q", "Enter")
    assert re.search(r"/customers/\d+$", page.url)
    context.close()
