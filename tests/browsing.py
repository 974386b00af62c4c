"""What is measured of a page in a real browser?

The browser is the machine's Chromium, or the one that Playwright keeps; where there is neither the
test is skipped and says so.
"""

import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--hide-scrollbars"]

MEASURE = """() => {
  const root = document.documentElement;
  const seen = e => {
    const box = e.getBoundingClientRect();
    return box.width > 1 && box.height > 1 && getComputedStyle(e).visibility === "visible"
      && !e.closest(".vh, .skip");
  };
  const say = e => e.tagName + " " + (e.textContent || e.name || "").trim().slice(0, 40);
  const own = e => [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
  const words = [...document.querySelectorAll("body *")].filter(e => own(e) && seen(e));
  const small = words.filter(e => parseFloat(getComputedStyle(e).fontSize) < 11);
  const cut = words.filter(e => e.scrollWidth > e.clientWidth + 1
    && getComputedStyle(e).overflowX === "hidden" && !e.title && !e.closest("[title]"));
  const boxes = [...document.querySelectorAll(".step")].map(e => e.getBoundingClientRect());
  let overlapping = 0;
  boxes.forEach((a, n) => boxes.slice(n + 1).forEach(b => {
    if (a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom) overlapping++;
  }));
  const spilt = [...document.querySelectorAll(".step .n")].filter(e => seen(e) &&
    (e.scrollWidth > e.clientWidth + 1 || e.getBoundingClientRect().bottom >
      e.closest(".step").getBoundingClientRect().bottom));
  const pressed = [...document.querySelectorAll("a, button, input, select, summary")]
    .filter(e => e.type !== "hidden" && seen(e) && !e.closest("pre, iframe, .top, .menu"));
  const clash = [];
  pressed.forEach((e, n) => {
    const a = e.getBoundingClientRect();
    pressed.slice(n + 1, n + 40).forEach(f => {
      if (e.contains(f) || f.contains(e) || e.getClientRects().length > 1
          || f.getClientRects().length > 1) return;
      const b = f.getBoundingClientRect();
      if (a.left + 1 < b.right && b.left + 1 < a.right
          && a.top + 4 < b.bottom && b.top + 4 < a.bottom)
        clash.push(say(e) + " / " + say(f));
    });
  });
  return { sideways: root.scrollWidth - root.clientWidth, small: small.map(say),
    cut: cut.map(say), overlapping, spilt: spilt.map(say), clash };
}"""
FINE = {"sideways": 0, "small": [], "cut": [], "overlapping": 0, "spilt": [], "clash": []}

AXE = """async ([where, only]) => {
  const run = only ? { type: "rule", values: only }
    : { type: "tag", values: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa",
        "best-practice"] };
  const told = await axe.run(where === "document" ? document : where,
    { runOnly: run, resultTypes: ["violations"] });
  return told.violations.map(v => v.id + ": " + v.nodes.slice(0, 3).map(n => n.html.slice(0, 99)
    + " " + (n.any[0] || n.all[0] || n.none[0] || {message: ""}).message.slice(0, 99)).join(" | "));
}"""


def set_theme(page: Any, theme: str) -> None:
    """Show the open page light or dark, without loading it again."""
    page.evaluate("name => { document.documentElement.dataset.theme = name }", theme)


def chromium(driver: Any) -> str:
    """Where a Chromium lies; the test is skipped where none does."""
    found = next((path for name in NAMES if (path := shutil.which(name))), "")
    kept = driver.chromium.executable_path
    if not found and not Path(kept).exists():
        pytest.skip("no browser test: no Chromium here (apt install chromium, or make browser)")
    return found or kept


@contextmanager
def open_browser() -> Iterator[Any]:
    """A browser without a window."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="no browser test: playwright is not installed"
    )
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=chromium(driver), args=FLAGS)
        yield started
        started.close()


@contextmanager
def serving(site: Any) -> Iterator[str]:
    """The address of the pages, served on a free port."""
    import uvicorn

    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(site, log_level="error", ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = True
    thread.join(5)
    listening.close()
