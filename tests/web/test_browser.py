"""Do pages hold together in a browser: every width, both themes, nothing from elsewhere?"""

import socket
import threading
import time
from pathlib import Path
from urllib.parse import quote

import pytest

CHROMIUM = Path("/usr/bin/chromium")
WIDTHS = (1440, 1024, 390)

MEASURE = """() => {
  const root = document.documentElement;
  const own = e => [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
  const small = [...document.querySelectorAll("body *")].filter(e =>
    own(e) && !e.closest("svg") && e.getBoundingClientRect().width
    && parseFloat(getComputedStyle(e).fontSize) < 11);
  const boxes = [...document.querySelectorAll(".step")].map(e => e.getBoundingClientRect());
  let overlapping = 0;
  boxes.forEach((a, n) => boxes.slice(n + 1).forEach(b => {
    if (a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom) overlapping++;
  }));
  const cut = [...document.querySelectorAll(".step .n")].filter(e =>
    e.scrollWidth > e.clientWidth + 1 || e.getBoundingClientRect().bottom >
      e.closest(".step").getBoundingClientRect().bottom);
  return { sideways: root.scrollWidth - root.clientWidth,
           small: small.map(e => e.textContent.slice(0, 40)), overlapping, cut: cut.length };
}"""
FINE = {"sideways": 0, "small": [], "overlapping": 0, "cut": 0}


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="no browser test: playwright is not installed"
    )
    if not CHROMIUM.exists():
        pytest.skip(f"no browser test: {CHROMIUM} is absent")
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(
            executable_path=str(CHROMIUM),
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield started
        started.close()


@pytest.fixture(scope="module")
def served(lived):
    """The address of the pages, served on a free port."""
    import uvicorn

    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(lived.site, log_level="error", ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = True
    thread.join(5)
    listening.close()


def pages(lived):
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
        "/health",
        "/sign-in",
    ]


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_pages_fit_and_ask_nobody_else(lived, browser, served, width, theme):
    context = browser.new_context(viewport={"width": width, "height": 900})
    context.add_cookies([{"name": "aftersale_session", "value": lived.cookie, "url": served}])
    page = context.new_page()
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
    for path in pages(lived):
        answer = page.goto(f"{served}{path}{'&' if '?' in path else '?'}theme={theme}")
        assert answer is not None
        assert answer.status == 200, path
        measured = page.evaluate(MEASURE)
        if measured != FINE or wrong:
            found[path] = (measured, wrong[:3])
        wrong.clear()
    context.close()
    assert found == {}
