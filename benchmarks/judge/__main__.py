"""Are the scores good enough? `python -m benchmarks.judge [--json] [NAME ...]`.

Prints tables, or lines of JSON, and ends with 1 where something that must be reached was missed.
Where the data is absent it says so, and that is no miss.
"""

import argparse
import sys
from collections.abc import Callable

from benchmarks.judge import churn, next_purchase, value
from benchmarks.judge.rows import Row, as_json, as_page

SCORES: dict[str, Callable[[], list[Row]]] = {
    "churn": churn.rows,
    "next-purchase": next_purchase.rows,
    "value": value.rows,
}


def main() -> int:
    """Judge what the command line names, or everything."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.judge", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(SCORES))
    parser.add_argument("--json", action="store_true", help="a line of JSON for each row")
    given = parser.parse_args()
    unknown = [name for name in given.names if name not in SCORES]
    if unknown:
        parser.error(f"there is no {unknown[0]}; there are {', '.join(SCORES)}")
    rows = [row for name in given.names or SCORES for row in SCORES[name]()]
    if given.json:
        print("\n".join(as_json(row) for row in rows))
    else:
        print(as_page(rows), end="")
    missed = [row for row in rows if row.reached is False]
    for row in missed:
        print(f"missed: {row.score}, {row.data}: {row.bar}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
