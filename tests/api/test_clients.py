"""Do client libraries that nobody here wrote work, unchanged, against a real server?

Each runs in a Python of its own (`make test` makes it), as it would in a shop's server.
"""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from aftersale.events.event import Entry
from aftersale.events.vocabulary import OrderCompleted, ProductEvent
from served import Server

PYTHON = Path(sys.prefix) / "clients" / "bin" / "python"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not PYTHON.exists(), reason="the clients are not installed: `make test` does"
    ),
]

SAY = """
import sys
url, key = sys.argv[1:]
failed = []
def on_error(error, items): failed.append(repr(error))
{make}
order = {{
    "order_id": "{name}-1", "total": 27.5, "currency": "EUR",
    "products": [{{"product_id": "coffee", "price": 13.75, "quantity": 2}}],
}}
client.identify("{name}", {{"email": "{name}@example.com", "firstName": "Zoë"}})
client.track("{name}", "Order Completed", order, message_id="{name}-order")
client.track("{name}", "Order Completed", order, message_id="{name}-order")
client.page("{name}", "docs", "home", {{"url": "/"}})
client.screen("{name}", "app", "start", {{}})
client.group("{name}", "firm", {{"employees": 7}})
client.alias("anonymous-{name}", "{name}")
for n in range(250):
    client.track("{name}", "Product Viewed", {{"product_id": "tea", "n": n}})
client.flush()
client.join()
print(failed)
"""

CLIENTS = {
    "segment": "import segment.analytics\n"
    "client = segment.analytics.Client(key, host=url, on_error=on_error, max_retries=1)",
    "segment-packed": "import segment.analytics\n"
    "client = segment.analytics.Client(key, host=url, on_error=on_error, gzip=True)",
    "rudder": "import rudderstack.analytics as r\n"
    "client = r.Client(key, host=url, on_error=on_error, max_retries=1)",
    "customerio": "import customerio.analytics\n"
    "client = customerio.analytics.Client(key, host=url, on_error=on_error, max_retries=1)",
}

CLOUD = """
import sys
from cloudevents.core.bindings.http import to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent
import requests
url, key = sys.argv[1:]
for n, as_message in enumerate((to_binary_event, to_structured_event)):
    data = {"order": f"cloud-{n}", "total": 1250, "customer": {"id": "cloud"}}
    event = CloudEvent(
        {"id": f"cloud-{n}", "source": "/näh maschine", "type": "order.completed",
         "specversion": "1.0", "datacontenttype": "application/json", "subject": "a b %"}, data)
    message = as_message(event)
    for _ in range(2):
        answer = requests.post(
            url + "/v1/cloudevents", message.body, headers=dict(message.headers), auth=(key, "")
        )
        answer.raise_for_status()
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("served"))
    made.start()
    yield made
    assert made.end() in {0, -signal.SIGTERM}


def run(server: Server, script: str, key: str = "ingest") -> str:
    done = subprocess.run(
        [PYTHON, "-c", script, server.url, server.keys.get(key, key)],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.stdout.strip()


def of(server: Server, name: str) -> dict[str, list[Entry]]:
    found: dict[str, list[Entry]] = {}
    with_name = [entry for entry in server.entries() if entry.customer]
    mine = {e.customer for e in with_name if e.id == f"{name}-order"}
    for entry in with_name:
        if entry.customer in mine:
            found.setdefault(entry.type, []).append(entry)
    return found


@pytest.mark.parametrize("name", CLIENTS)
def test_a_tracking_client_sends_everything_once(server: Server, name: str) -> None:
    """All calls, several batches, a call that is sent twice; nothing is told to be wrong."""
    assert run(server, SAY.format(make=CLIENTS[name], name=name)) == "[]"
    found = of(server, name)
    assert {kind: len(entries) for kind, entries in found.items()} == {
        "customer.updated": 2,
        "order.completed": 1,
        "page.viewed": 1,
        "screen.viewed": 1,
        "group.joined": 1,
        "product.viewed": 250,
    }
    (order,) = found["order.completed"]
    assert isinstance(order.body, OrderCompleted)
    assert (order.body.order, order.body.total, order.body.lines[0].amount) == (
        f"{name}-1",
        2750,
        2750,
    )
    assert found["product.viewed"][0].body == ProductEvent(product="tea")
    told = [server.personal(entry) for entry in found["customer.updated"]]
    assert "Zoë" in {row.get("first_name") for row in told}
    assert f"{name}@example.com" in {row.get("email") for row in told}


@pytest.mark.parametrize("name", ["segment", "rudder", "customerio"])
def test_a_client_with_a_wrong_key_is_told_so_at_once(server: Server, name: str) -> None:
    """It understands the answer and does not try again for minutes."""
    make = CLIENTS[name]
    script = SAY.format(make=make, name=name).partition("for n in range")[0]
    said = run(server, f"{script}client.flush()\nclient.join()\nprint(failed)", "wrong")
    assert "wrong-key" in said or "401" in said


def test_the_library_of_cloudevents_sends_both_ways(server: Server) -> None:
    """Names and values outside ASCII come back as they were."""
    run(server, CLOUD)
    mine = [entry for entry in server.entries() if entry.id.startswith("cloud-")]
    assert [entry.source for entry in mine] == ["/näh maschine"] * 2
    assert [entry.body for entry in mine] == [
        OrderCompleted(order=f"cloud-{n}", total=1250) for n in range(2)
    ]
    for entry in mine:
        told = server.personal(entry)["cloudevent"]
        assert isinstance(told, dict)
        assert told["subject"] == "a b %"
