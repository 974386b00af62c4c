"""How do the documents' pictures come about? `make pictures`: from the demo, by a real browser.

The demo is the same on every machine and the font is ours, so a picture changes only with the page.
"""

import sys
from pathlib import Path

from aftersale.bootstrap import open_app
from aftersale.settings import Settings
from aftersale.web.sign_in import COOKIE, SignIn, session_cookie
from aftersale.web.site import create_site
from browsing import open_browser, serving

FOLDER = Path(__file__).parents[1] / "docs" / "images"
WIDTH, HEIGHT = 1280, 860


def addresses(site_app) -> dict[str, str]:
    """Which page each picture shows."""
    with site_app.store.read() as tx:
        held = tx.decisions.newest(kind="hold", limit=1)[0]
    return {
        "overview": "/",
        "customer": f"/customers/{held.customer}",
        "decision": f"/decisions/{held.customer}-{held.seq}",
        "journey": "/journeys/education",
        "retention": "/retention",
        "segments": "/segments",
    }


def main() -> int:
    """Write every picture of the demo in the folder that is named."""
    app = open_app(Settings(home=Path(sys.argv[1])))
    with app.store.read() as tx:
        secret = bytes.fromhex(tx.meta.get("secret"))
    site = create_site(app, secret=secret, sign_in=SignIn(app.store))
    cookie = session_cookie(secret, app.system_now())
    with serving(site) as address, open_browser() as browser:
        context = browser.new_context(
            viewport={"width": WIDTH, "height": HEIGHT}, reduced_motion="reduce"
        )
        context.add_cookies([{"name": COOKIE, "value": cookie, "url": address}])
        page = context.new_page()
        for name, path in addresses(app).items():
            page.goto(f"{address}{path}")
            page.evaluate("document.fonts.ready")
            page.screenshot(path=FOLDER / f"{name}.png")
            sys.stdout.write(f"docs/images/{name}.png\n")
    app.store.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
