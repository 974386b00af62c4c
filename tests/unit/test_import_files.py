"""What is read from merchants' files, and what happens to rows that cannot be read."""

import csv
import io
import json
import os
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aftersale.adapters.sources.columns import instant
from aftersale.adapters.sources.files import connect
from aftersale.adapters.sources.jsonl import EventTableSource, JsonEventSource
from aftersale.adapters.sources.mapping import mapping_of
from aftersale.adapters.sources.products import ProductSource
from aftersale.adapters.sources.tables import OrderSource
from aftersale.events.event import Event, Ref, content_digest, read_event
from aftersale.events.vocabulary import Line
from aftersale.kernel.errors import Refusal
from aftersale.kernel.instants import format_instant
from aftersale.kernel.zones import instants_at
from aftersale.ledger.importing import Admitted, Batch, ImportReport, Source
from aftersale.runtime.importing import run_import, write_rejects

LINES = """
source = "shop"
shop = "main"
zone = "Europe/London"
currency = "GBP"
[columns]
order = "Invoice"
at = "Date"
customer = "Customer"
country = "Country"
product = "Code"
name = "Name"
quantity = "Quantity"
price = "Price"
[rows]
[[rows.returns]]
when.Invoice.starts_with = "C"
[[rows.shipping]]
when.Code.equals = ["POST", "DOT"]
[[rows.discount]]
when.Code.equals = "OFF"
[[rows.ignore]]
reason = "stock adjustment"
when.Quantity.less_than = 0
unless.Invoice.starts_with = "C"
[countries]
"United Kingdom" = "GB"
"Unspecified" = ""
"""
HEAD = "Invoice,Code,Name,Quantity,Date,Price,Customer,Country"
UK = "17850,United Kingdom"


def to_inbound(event: Event) -> dict[str, Any]:
    """The JSON form in which a shop would send the same event."""
    data = msgspec.to_builtins(event.body)
    if "lines" in data:
        data["lines"] = [
            {"product": line[0], "quantity": line[1], "amount": line[2]} for line in data["lines"]
        ]
    if "promised_at" in data:
        data["promised_at"] = format_instant(data["promised_at"])
    person = dict(event.personal)
    if event.type == "review.submitted":
        data, person = {**data, **person}, {}
    for ref in event.refs:
        if ref.kind == "customer":
            person["id"] = ref.value.removeprefix(f"{event.shop}/")
        elif ref.kind in {"email", "phone"}:
            person[ref.kind] = ref.value
    return {
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "at": format_instant(event.at),
        "shop": event.shop,
        "customer": person,
        "data": data,
    }


def written(folder: Path, text: str, name: str = "orders.csv", encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


def lines_file(folder: Path, *rows: str) -> OrderSource:
    return OrderSource(
        written(folder, "\n".join([HEAD, *rows]) + "\n"), mapping_of(LINES, "orders")
    )


def read(source: Source, after: int = 0) -> tuple[list[Event], list[Batch], ImportReport]:
    batches = list(source.batches(after))
    report = run_import(source, admit=None, progress=lambda done, total: None)
    assert report.used + report.rejected + report.ignored == source.total_rows
    return [event for batch in batches for event in batch.events], batches, report


def reasons(source: Source) -> list[tuple[int, str]]:
    return [(reject.row, reject.reason) for reject in source.rejects()]


def test_lines_become_one_order_with_amounts_rounded_half_to_even(tmp_path: Path) -> None:
    source = lines_file(
        tmp_path,
        f"1,A,Apple,3,2011-01-05 10:00,0.015,{UK}",  # 4.5 pence
        f"1,B,Bean,1,2011-01-05 10:00,0.055,{UK}",  # 5.5 pence
        f"1,POST,Postage,1,2011-01-05 10:00,3.00,{UK}",
        f"1,OFF,Discount,1,2011-01-05 10:00,-1.00,{UK}",
    )
    (event,), batches, report = read(source)
    assert event.id == "order.completed/1"
    assert event.body.lines == (Line("A", 3, 4), Line("B", 1, 6))
    assert (event.body.shipping, event.body.discount, event.body.total) == (300, 100, 210)
    assert (event.body.country, event.body.currency) == ("GB", "GBP")
    assert event.refs == (Ref("customer", "main/17850"), Ref("order", "main/1"))
    assert report.used == 4
    assert [(p.product, p.name, p.price) for p in batches[0].products] == [
        ("A", "Apple", 2),
        ("B", "Bean", 6),
    ]


def test_the_same_order_sent_as_json_is_the_same_fact(tmp_path: Path) -> None:
    source = lines_file(
        tmp_path,
        f"1,A,Apple,3,2011-07-05 10:00,1.20,{UK}",
        f"C2,A,Apple,-1,2011-07-06 10:00,1.20,{UK}",
    )
    for event in read(source)[0]:
        again = read_event(to_inbound(event))
        assert (again.type, again.at, again.shop) == (event.type, event.at, event.shop)
        assert (again.body, again.refs) == (event.body, event.refs)
        assert content_digest(again) == content_digest(event)


def test_a_return_tells_what_went_back_and_the_money(tmp_path: Path) -> None:
    source = lines_file(
        tmp_path,
        f"C7,A,Apple,-2,2011-01-05 10:00,1.50,{UK}",
        f"C7,POST,Postage,-1,2011-01-05 10:00,3.00,{UK}",
    )
    (back, refund), _, _ = read(source)
    assert (back.type, back.body.record, back.body.lines) == (
        "return.initiated",
        "C7",
        (Line("A", 2, 300),),
    )
    assert (refund.type, refund.body.refund, refund.body.amount) == ("refund.issued", "C7", 600)
    assert back.refs == refund.refs == (Ref("customer", "main/17850"),)


def test_the_order_of_a_guest_belongs_to_nobody(tmp_path: Path) -> None:
    (event,), _, _ = read(lines_file(tmp_path, "1,A,Apple,1,2011-01-05 10:00,1.50,,Unspecified"))
    assert event.refs == ()
    assert (event.body.country, event.personal) == ("", {})


def test_a_country_that_the_mapping_does_not_know_is_kept_apart(tmp_path: Path) -> None:
    (event,), _, _ = read(lines_file(tmp_path, "1,A,Apple,1,2011-01-05 10:00,1.50,5,Atlantis"))
    assert (event.body.country, event.personal) == ("", {"country": "Atlantis"})


def test_exact_duplicates_are_ignored_and_counted_or_kept_if_asked(tmp_path: Path) -> None:
    row = f"1,A,Apple,1,2011-01-05 10:00,1.50,{UK}"
    other = f"1,A,Apple,2,2011-01-05 10:00,1.50,{UK}"
    (event,), _, report = read(lines_file(tmp_path, row, row, other, row))
    assert event.body.lines == (Line("A", 1, 150), Line("A", 2, 300))
    assert report.ignored_by_reason == {"equals an earlier row": 2}
    keep = mapping_of(LINES.replace("[rows]", '[rows]\nduplicates = "keep"'), "orders")
    (event,), _, report = read(OrderSource(tmp_path / "orders.csv", keep))
    assert len(event.body.lines) == 4
    assert report.ignored_by_reason == {}


def test_rows_that_a_rule_ignores_are_counted_by_reason(tmp_path: Path) -> None:
    _, _, report = read(
        lines_file(
            tmp_path,
            f"1,A,Apple,1,2011-01-05 10:00,1.50,{UK}",
            f"2,A,lost,-8,2011-01-05 10:00,0,{UK}",
        )
    )
    assert (report.used, report.ignored_by_reason) == (1, {"stock adjustment": 1})


def test_times_are_read_on_the_wall_of_the_mappings_zone(tmp_path: Path) -> None:
    source = lines_file(
        tmp_path,
        f"1,A,x,1,2011-01-05 10:00,1,{UK}",
        f"2,A,x,1,2011-07-05 10:00,1,{UK}",
        f"3,A,x,1,2011-03-27 01:30,1,{UK}",  # the clock jumps from 01:00 to 02:00
        f"4,A,x,1,2011-10-30 01:30,1,{UK}",  # shown twice: the first
        f"5,A,x,1,2011-07-05T10:00:00+05:30,1,{UK}",
        f"6,A,x,1,2011-07-05T10:00:00Z,1,{UK}",
    )
    assert {e.body.order: format_instant(e.at) for e in read(source)[0]} == {
        "1": "2011-01-05T10:00:00Z",
        "2": "2011-07-05T09:00:00Z",
        "3": "2011-03-27T01:00:00Z",
        "4": "2011-10-30T00:30:00Z",
        "5": "2011-07-05T04:30:00Z",
        "6": "2011-07-05T10:00:00Z",
    }


@settings(max_examples=15)
@given(
    st.sampled_from(["Europe/London", "America/Sao_Paulo", "Australia/Lord_Howe", "UTC"]),
    st.lists(st.integers(946_684_800, 1_735_689_600), min_size=1, max_size=20),
)
def test_a_wall_time_becomes_the_instant_that_the_kernel_says(
    zone: str, seconds: list[int]
) -> None:
    walls = [second * 1_000_000 for second in seconds]
    rows = ", ".join(f"({wall}::bigint)" for wall in walls)
    expression = instant("w", zone, min(walls), max(walls))
    with connect() as database:
        found = database.execute(f"select {expression} from (values {rows}) t(w)").fetchall()
    assert [row[0] for row in found] == [instants_at(wall, zone)[0] for wall in walls]


def test_bad_rows_are_rejected_with_number_reason_and_text(tmp_path: Path) -> None:
    source = lines_file(
        tmp_path,
        f"1,A,Apple,1,2011-01-05 10:00,1.50,{UK}",
        f"1,A,Apple,1,,1.50,{UK}",
        f"1,A,Apple,1,yesterday,1.50,{UK}",
        f"1,A,Apple,1,1803-01-05 10:00,1.50,{UK}",
        f"1,A,Apple,many,2011-01-05 10:00,1.50,{UK}",
        f"1,A,Apple,0,2011-01-05 10:00,1.50,{UK}",
        f"1,A,Apple,1.5,2011-01-05 10:00,1.50,{UK}",
        f"1,A,Apple,90000000,2011-01-05 10:00,1.50,{UK}",
        f'1,A,"Apple, red",1,2011-01-05 10:00,"1,50",{UK}',
        f"1,A,Apple,1,2011-01-05 10:00,,{UK}",
        f"1,A,Apple,1,2011-01-05 10:00,-3,{UK}",
        f",A,Apple,1,2011-01-05 10:00,1.50,{UK}",
        f"1,,Apple,1,2011-01-05 10:00,1.50,{UK}",
    )
    assert reasons(source) == [
        (2, "the date is missing"),
        (3, "the date cannot be read"),
        (4, "the date is outside 1990 to 2069"),
        (5, "the quantity cannot be read"),
        (6, "the quantity is zero"),
        (7, "the quantity is no whole number"),
        (8, "the quantity is over a million"),
        (9, "the price cannot be read"),
        (10, "the price is missing"),
        (11, "the price is negative"),
        (12, "the order number is missing"),
        (13, "the product is missing"),
    ]
    text = list(source.rejects())[7].text
    assert text == '1,A,"Apple, red",1,2011-01-05 10:00,"1,50",17850,United Kingdom'
    assert read(source)[2].used == 1


def test_a_negative_quantity_needs_a_rule_that_says_what_it_is(tmp_path: Path) -> None:
    plain = LINES[: LINES.index("[[rows.ignore]]")] + LINES[LINES.index("[countries]") :]
    path = written(tmp_path, f"{HEAD}\n1,A,Apple,-1,2011-01-05 10:00,1.50,{UK}\n")
    assert reasons(OrderSource(path, mapping_of(plain, "orders"))) == [
        (1, "the quantity is negative and the row is no return")
    ]


def test_rows_that_are_no_rows_keep_their_numbers_and_those_behind_them_too(
    tmp_path: Path,
) -> None:
    good = f"1,A,Apple,1,2011-01-05 10:00,1.50,{UK}"
    path = tmp_path / "orders.csv"
    rows = [HEAD, good, "2,too,few", f"{good},too,many", f'1,A,"un"quoted",1,x,1,{UK}']
    data = "\n".join([*rows, good.replace("2011", "never"), ""]).encode()
    path.write_bytes(data + b"9,A,\xff\xfe,1,2011-01-05 10:00,1.50,1,GB\n")
    source = OrderSource(path, mapping_of(LINES, "orders"))
    assert reasons(source) == [
        (2, "too few columns"),
        (3, "too many columns"),
        (4, "a quote is not closed"),
        (5, "the date cannot be read"),
        (6, "the text is in another encoding"),
    ]
    assert read(source)[2].used == 1


def test_semicolons_a_byte_order_mark_and_decimal_commas_are_understood(tmp_path: Path) -> None:
    head = HEAD.replace(",", ";")
    text = f'\ufeff{head}\n1;A;"Käse; mild";2;05.01.2011 10:00;"1.200,25";5;GB\n'
    settings_text = 'time_format = "%d.%m.%Y %H:%M"\ndecimal = ","\n'
    mapping = mapping_of(settings_text + LINES, "orders")
    (event,), batches, _ = read(OrderSource(written(tmp_path, text), mapping))
    assert (event.body.order, event.body.total) == ("1", 240_050)
    assert batches[0].products[0].name == "Käse; mild"


def test_another_encoding_is_read_when_the_mapping_says_so(tmp_path: Path) -> None:
    path = written(tmp_path, f"{HEAD}\n1,A,Käse,1,2011-01-05,1,5,GB\n", encoding="latin-1")
    assert reasons(OrderSource(path, mapping_of(LINES, "orders"))) == [
        (1, "the text is in another encoding")
    ]
    mapping = mapping_of('encoding = "latin-1"\n' + LINES, "orders")
    assert read(OrderSource(path, mapping))[1][0].products[0].name == "Käse"


def test_a_file_put_together_from_several_may_mix_its_line_endings(tmp_path: Path) -> None:
    row = "A,x,1,2011-01-05,1,5,GB"
    path = written(tmp_path, f'{HEAD}\r\n1,{row}\r\n2,{row}\n3,{row}\r4,"un"{row}\n5,{row}\n')
    source = OrderSource(path, mapping_of(LINES, "orders"))
    assert [e.body.order for e in read(source)[0]] == ["1", "2", "3", "5"]
    assert [row for row, _ in reasons(source)] == [4]


def test_quotes_line_breaks_and_huge_fields_do_not_break_rows(tmp_path: Path) -> None:
    huge = "x" * 3_000_000
    source = lines_file(
        tmp_path,
        f'1,A,"two\nlines, ""quoted""",1,2011-01-05,1,{UK}',
        f"2,B,{huge},1,2011-01-05,1,{UK}",
        f"3,{huge},Apple,1,2011-01-05,1,{UK}",
    )
    events, batches, _ = read(source)
    assert [e.body.order for e in events] == ["1", "2"]
    assert [p.name for p in batches[0].products] == ['two\nlines, "quoted"', "x" * 200]
    assert reasons(source) == [(3, "the product's number is too long")]


@pytest.mark.parametrize("text", ["", HEAD, f"{HEAD}\n"])
def test_a_file_without_rows_is_an_import_of_nothing(tmp_path: Path, text: str) -> None:
    path = written(tmp_path, text)
    if not text:
        with pytest.raises(Refusal, match="has no column"):
            OrderSource(path, mapping_of(LINES, "orders"))
        return
    source = OrderSource(path, mapping_of(LINES, "orders"))
    events, batches, report = read(source)
    assert (events, len(batches), report.rows) == ([], 1, 0)


def test_a_missing_column_is_refused_with_the_nearest_right_word(tmp_path: Path) -> None:
    path = written(tmp_path, f"{HEAD}\n".replace("Invoice", "InvoiceNo"))
    with pytest.raises(Refusal) as refused:
        OrderSource(path, mapping_of(LINES, "orders"), mapping_place="map.toml")
    assert "no column 'Invoice'" in refused.value.what
    assert refused.value.hint == "did you mean 'InvoiceNo'?"
    assert refused.value.where == "map.toml columns.order"


@pytest.mark.parametrize(
    ("old", "new", "what", "where", "hint"),
    [
        ("product =", "produkt =", "knows no 'produkt'", ":11 columns.produkt", "'product'"),
        ("starts_with", "start_with", "'start_with'", "start_with", "'starts_with'"),
        ("zone = ", "zon = ", "'zon'", ":4 zon", "'zone'"),
        ('order = "Invoice"', "", "which column is 'order'", "columns", ""),
        ("Europe/London", "Europe/Londn", "no time zone", "zone", ""),
        ('currency = "GBP"', "", "no currency", "columns", "currency"),
        ("less_than = 0", 'less_than = "0"', "the mapping is wrong", "less_than", ""),
        ('reason = "stock adjustment"', "", "must say its reason", "rows.ignore", ""),
        ('= "GB"', '= "UK!"', "no country code", "countries", ""),
    ],
)
def test_a_wrong_mapping_is_refused_with_its_place(
    old: str, new: str, what: str, where: str, hint: str
) -> None:
    with pytest.raises(Refusal) as refused:
        mapping_of(LINES.replace(old, new), "orders", "map.toml")
    assert what in refused.value.what
    assert "map.toml" in refused.value.where
    assert where in refused.value.where
    assert hint in refused.value.hint


def test_a_pattern_that_is_none_is_refused(tmp_path: Path) -> None:
    broken = LINES.replace('when.Invoice.starts_with = "C"', 'when.Invoice.matches = "(C"', 1)
    with pytest.raises(Refusal, match="no regular expression"):
        OrderSource(written(tmp_path, f"{HEAD}\n"), mapping_of(broken, "orders"))


def test_a_file_that_is_not_what_its_name_says_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "this is no table at all, is it?", "orders.parquet")
    with pytest.raises(Refusal, match="cannot be read as parquet"):
        OrderSource(path, mapping_of(LINES, "orders"))
    with pytest.raises(Refusal, match="no known format"):
        OrderSource(written(tmp_path, "", "orders.xlsx"), mapping_of(LINES, "orders"))
    with pytest.raises(Refusal, match="there is no file"):
        OrderSource(tmp_path / "absent.csv", mapping_of(LINES, "orders"))


def parquet(path: Path, query: str) -> Path:
    with connect() as database:
        database.execute(f"copy ({query}) to '{path}' (format parquet)")
    return path


def test_parquet_and_json_lines_tell_the_same_as_csv(tmp_path: Path) -> None:
    row = f"1,A,Apple,2,2011-07-05 10:00:00,1.25,{UK}"
    expected = read(lines_file(tmp_path, row))[0]
    typed = parquet(
        tmp_path / "orders.parquet",
        "select '1' as Invoice, 'A' as Code, 'Apple' as Name, 2 as Quantity,"
        " timestamp '2011-07-05 10:00:00' as Date, 1.25::double as Price,"
        " 17850.0::double as Customer, 'United Kingdom' as Country",
    )
    told = dict(zip(HEAD.split(","), next(csv.reader([row])), strict=True))
    told |= {"Quantity": 2, "Price": 1.25}
    lines = written(tmp_path, f"{json.dumps(told)}\n\n[1]\nnothing\n", "orders.jsonl")
    mapping = mapping_of(LINES, "orders")
    assert read(OrderSource(typed, mapping))[0] == expected
    source = OrderSource(lines, mapping)
    assert read(source)[0] == expected
    assert [(r.row, r.text) for r in source.rejects()] == [(2, "[1]"), (3, "nothing")]


LIFE = """
source = "market"
zone = "America/Sao_Paulo"
currency = "BRL"
[columns]
order = "id"
at = "bought"
approved_at = "approved"
shipped_at = "left"
promised_at = "promised"
delivered_at = "arrived"
customer = "people.person"
product = "items.product"
price = "items.price"
line_shipping = "items.freight"
category = "products.category"
review = "reviews.review"
rating = "reviews.stars"
reviewed_at = "reviews.written"
review_text = "reviews.words"
[personal]
city = "people.city"
[[rows.cancelled]]
when.status.equals = ["canceled"]
[related.people]
file = "people.csv"
on = "key"
to = "customer_key"
[related.items]
file = "items.csv"
on = "order"
to = "id"
[related.products]
file = "products.csv"
on = "product"
to = "items.product"
optional = true
[related.reviews]
file = "reviews.csv"
on = "order"
to = "id"
"""


def market(folder: Path) -> Path:
    written(folder, "key,person,city\nk1,anna,Recife\nk2,anna,Recife\n", "people.csv")
    items = "order,product,price,freight\n1,p,10.00,2.50\n1,p,10.00,2.49\n9,p,1,1\n2,q,x,1\n"
    written(folder, items, "items.csv")
    reviews = "review,order,stars,written,words\nr1,1,5,2018-01-09 10:00,bom\nr2,1,6,2018-01-09,\n"
    written(folder, reviews, "reviews.csv")
    return written(
        folder,
        "id,customer_key,status,bought,approved,left,promised,arrived\n"
        "1,k1,delivered,2018-01-05 10:00,2018-01-05 11:00,2018-01-06,2018-01-10,2018-01-08\n"
        "2,k2,canceled,2018-01-05 12:00,2018-01-05 13:00,,2018-01-10,\n",
    )


def test_related_files_make_the_life_of_an_order(tmp_path: Path) -> None:
    source = OrderSource(market(tmp_path), mapping_of(LIFE, "orders"))
    events, _, report = read(source)
    assert [(e.id, format_instant(e.at)) for e in events] == [
        ("order.completed/1", "2018-01-05T12:00:00Z"),
        ("order.completed/2", "2018-01-05T14:00:00Z"),
        ("order.cancelled/2", "2018-01-05T15:00:00Z"),
        ("order.shipped/1", "2018-01-06T02:00:00Z"),
        ("order.delivered/1", "2018-01-08T02:00:00Z"),
        ("review.submitted/r1/1", "2018-01-09T12:00:00Z"),
    ]
    first = events[0]
    assert (first.body.total, first.body.shipping, len(first.body.lines)) == (2499, 499, 2)
    assert first.personal == {"city": "Recife"}
    assert {e.refs[0] for e in events} == {Ref("customer", "/anna")}
    assert events[-1].personal == {"text": "bom"}
    assert (report.rows, report.used) == (8, 5)
    assert report.ignored_by_reason == {"belongs to an order that is not imported": 1}
    assert [(r.file, r.row, r.reason) for r in source.rejects()] == [
        ("items.csv", 4, "the price cannot be read"),
        ("reviews.csv", 2, "the rating is no whole number from 1 to 5"),
    ]
    for event in events:
        again = read_event(to_inbound(event))
        assert (again.body, again.refs, again.at) == (event.body, event.refs, event.at)


def test_a_missing_related_file_is_refused_unless_it_is_optional(tmp_path: Path) -> None:
    path = market(tmp_path)
    (tmp_path / "reviews.csv").unlink()
    with pytest.raises(Refusal) as refused:
        OrderSource(path, mapping_of(LIFE, "orders"))
    assert "optional = true" in refused.value.hint


def test_a_rule_about_two_files_is_refused(tmp_path: Path) -> None:
    rule = (
        '[[rows.ignore]]\nreason = "x"\nwhen.status.equals = "a"\nwhen."items.price".equals = 1\n'
    )
    with pytest.raises(Refusal, match="columns that are not in the rows"):
        OrderSource(market(tmp_path), mapping_of(LIFE + rule, "orders"))


def test_consent_is_given_once_a_customer_at_the_first_order_that_qualifies(
    tmp_path: Path,
) -> None:
    consent = (
        '[consent]\nbasis = "soft-opt-in"\nchannel = "email"\npurpose = "marketing"\n'
        'countries = ["GB"]\nsince = "2011-01-06"\n'
    )
    rows = [
        "1,A,x,1,2011-01-05,1,5,GB",
        "2,A,x,1,2011-01-07,1,5,GB",
        "3,A,x,1,2011-01-08,1,5,GB",
        "4,A,x,1,2011-01-08,1,6,DE",
        "5,A,x,1,2011-01-08,1,,GB",
    ]
    path = written(tmp_path, "\n".join([HEAD, *rows]))
    events, _, _ = read(OrderSource(path, mapping_of(LINES + consent, "orders")))
    given_ = [e for e in events if e.type == "consent.given"]
    assert [(e.id, format_instant(e.at), e.body.basis) for e in given_] == [
        ("consent.given/5/email/marketing", "2011-01-07T00:00:00Z", "soft-opt-in")
    ]
    assert not [
        e for e in read(OrderSource(path, mapping_of(LINES, "orders")))[0] if "consent" in e.id
    ]


class Kept:
    """What a store holds after each committed batch; it is killed after some events."""

    def __init__(self, stop: int) -> None:
        self.stop = stop
        self.events: list[Event] = []
        self.report = ImportReport()

    def admit(self, batch: Batch, before: ImportReport) -> Admitted:
        if len(self.events) >= self.stop:
            raise KeyboardInterrupt
        admitted = Admitted(new=len(batch.events))
        self.events.extend(batch.events)
        self.report = before.after(batch, admitted)
        return admitted


def test_an_import_that_stopped_goes_on_to_the_same_end(tmp_path: Path) -> None:
    rows = [f"{n},A,x,{n % 4},2011-01-{n % 28 + 1:02d},1,{n % 7},GB" for n in range(1, 60)]
    path = written(tmp_path, "\n".join([HEAD, *rows]))

    def source(size: int) -> OrderSource:
        return OrderSource(path, mapping_of(LINES, "orders"), size=size)

    whole, _, expected = read(source(1000))
    for stop in (0, 20):
        kept = Kept(stop)
        with pytest.raises(KeyboardInterrupt):
            run_import(source(7), admit=kept.admit, progress=lambda done, total: None)
        kept.stop = 1000
        report = run_import(
            source(5),
            admit=kept.admit,
            progress=lambda done, total: None,
            start_after=kept.report,
        )
        assert kept.events == whole
        assert report == msgspec.structs.replace(expected, new=len(whole))
    assert write_rejects(source(5), tmp_path / "rejects.csv") == expected.rejected
    assert source(5).fingerprint() == source(7).fingerprint()
    with (tmp_path / "rejects.csv").open(encoding="utf-8", newline="") as file:
        assert len(list(csv.DictReader(file))) == expected.rejected


cells = st.sampled_from(
    ["", "1", "2", "-1", "0", "1.5", "x", "C1", "A", "POST", "2011-01-05", "2011-13-05", "é\n", '"']
)


@settings(max_examples=15)
@given(st.lists(st.lists(cells, min_size=8, max_size=8), max_size=12), st.integers(1, 5))
def test_every_row_is_used_rejected_or_ignored(rows: list[list[str]], size: int) -> None:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(HEAD.split(","))
    writer.writerows(rows)
    name = Path(tempfile.gettempdir()) / f"aftersale-rows-{os.getpid()}.csv"
    name.write_text(text.getvalue(), encoding="utf-8", newline="")
    try:
        source = OrderSource(name, mapping_of(LINES, "orders"), size=size)
        events, batches, report = read(source)
    finally:
        name.unlink()
    assert report.rows == len(rows)
    assert sum(len(batch.rejects) for batch in batches) == len(list(source.rejects()))
    assert len({event.id for event in events}) == len(events)
    assert sorted(events, key=lambda event: event.at) == events


def event_line(**changes: Any) -> str:
    event = {
        "id": "1",
        "type": "order.completed",
        "at": "2026-03-01T09:00:00Z",
        "customer": {"id": "5"},
        "data": {"order": "7", "currency": "EUR", "total": "12.50"},
    }
    return json.dumps({**event, **changes})


def test_json_lines_of_events_are_read_one_by_one(tmp_path: Path) -> None:
    lines = [event_line(), "{broken", "", event_line(id=None), "[]", event_line(id="2", at="x")]
    path = written(tmp_path, "\ufeff" + "\n".join([*lines, event_line(id="3")]), "events.jsonl")
    source = JsonEventSource(path, source="till", size=2)
    events, batches, report = read(source)
    assert [(e.id, e.source, e.body.total) for e in events] == [
        ("1", "till", 1250),
        ("3", "till", 1250),
    ]
    assert [row for row, _ in reasons(source)] == [2, 3, 4, 5]
    assert (report.rows, report.used, report.rejected) == (6, 2, 4)
    again = [e for batch in source.batches(batches[0].upto) for e in batch.events]
    assert [e.id for e in again] == ["3"]


EVENTS = """
source = "helpdesk"
zone = "Europe/Berlin"
[columns]
id = "nr"
type = "what"
at = "when"
email = "mail"
[data]
ticket = "nr"
category = "topic"
[personal]
name = "who"
"""


def test_events_in_columns_are_read_as_a_mapping_says(tmp_path: Path) -> None:
    text = (
        "nr,what,when,mail,topic,who\n1,support.ticket_created,2026-01-05 10:00,A@B.de,parcel,Al\n"
        "2,support.ticket_created,soon,a@b.de,parcel,Al\nshort\n,support.ticket_created,,,,\n"
    )
    source = EventTableSource(written(tmp_path, text, "e.csv"), mapping_of(EVENTS, "events"))
    (event,), _, report = read(source)
    assert event.refs == (Ref("email", "a@b.de"),)
    assert (event.body.ticket, event.body.category) == ("1", "parcel")
    assert (format_instant(event.at), event.personal["name"]) == ("2026-01-05T09:00:00Z", "Al")
    assert [row for row, _ in reasons(source)] == [2, 3, 4]
    assert report.rejected == 3


def test_a_list_of_products_becomes_facts(tmp_path: Path) -> None:
    mapping = mapping_of(
        'source = "pim"\ncurrency = "EUR"\n[columns]\nproduct = "sku"\nname = "title"\n'
        'price = "price"\nsupply_days = "days"\n',
        "products",
    )
    text = "sku,title,price,days\nA,Apple,1.25,30\n,None,1,1\nB,Bean,cheap,\nshort\nC,Corn,,\n"
    source = ProductSource(written(tmp_path, text, "p.csv"), mapping, size=1)
    _, batches, report = read(source)
    facts = [fact for batch in batches for fact in batch.products]
    assert [(f.product, f.name, f.price, f.supply_days) for f in facts] == [
        ("A", "Apple", 125, 30.0),
        ("C", "Corn", 0, 0.0),
    ]
    assert [row for row, _ in reasons(source)] == [2, 3, 4]
    assert (report.used, report.rejected, report.products) == (2, 3, 2)
    after = [f for batch in source.batches(batches[1].upto) for f in batch.products]
    assert [f.product for f in after] == ["C"]


def test_currencies_of_other_exponents_keep_their_minor_units(tmp_path: Path) -> None:
    mapping = mapping_of(
        'source = "s"\n[columns]\norder = "o"\nat = "t"\ncurrency = "c"\ntotal = "sum"\n', "orders"
    )
    text = (
        "o,t,c,sum\n1,2026-01-01,JPY,1200\n2,2026-01-02,eur,12.505\n"
        "3,2026-01-03,KWD,1.5\n4,2026-01-04,?,1\n"
    )
    source = OrderSource(written(tmp_path, text), mapping)
    assert [(e.body.currency, e.body.total) for e in read(source)[0]] == [
        ("JPY", 1200),
        ("EUR", 1250),
        ("KWD", 1500),
    ]
    assert reasons(source) == [(4, "the currency is no code of three letters")]
    assert Counter(e.type for e in read(source)[0]) == {"order.completed": 3}
