"""What would the programme in force have said, and what a draft of it?"""

import msgspec
from starlette.requests import Request

from aftersale.programme.ports import Transaction
from aftersale.web.pages import Pages, Shown
from aftersale.web.report import Comparison, JourneyLine, Report, comparison_of, kept_report


class BacktestView(msgspec.Struct, frozen=True):
    """Everything on the page; the same as JSON."""

    report: Report | None
    """None where no backtest was kept."""
    against: Comparison | None
    """The draft that was played over the same days."""
    other_days: str
    """The draft that was played over other days, so that nothing is compared."""
    journeys: list[JourneyLine]


def latest(pages: Pages, tx: Transaction, request: Request) -> Shown:
    """The newest backtest that was kept, beside that of a draft."""
    report, draft = kept_report(tx), kept_report(tx, of_draft=True)
    against = comparison_of(report, draft) if report else None
    view = BacktestView(
        report,
        against,
        draft.draft if draft is not None and against is None else "",
        report.journeys if report else [],
    )
    return Shown("backtest.html", "backtest", view, ("journeys",))
