"""Are the scores good enough? `python -m benchmarks.judge [--data DIR] [--json] [NAME ...]`.

Prints a line of JSON for each figure and then, without --json, the same as a table. Ends with 1
where something that must be reached was missed. A set of data that is not in the folder is not
judged, with the reason; where none is, the simulated shop is judged, and that is said.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.figures import shared_data
from benchmarks.judge import bgnbd, churn, next_purchase, refill
from benchmarks.judge.rows import Figure, as_json, as_page
from benchmarks.judge.shops import Absent, Shop, any_here, shops, simulated

SCORES: dict[str, Callable[[Shop | Absent], list[Figure]]] = {
    "bgnbd": bgnbd.figures,
    "churn": churn.figures,
    "next_date": next_purchase.figures,
    "refill": refill.figures,
}


def main() -> int:
    """Judge what the command line names, or everything."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.judge", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(SCORES))
    parser.add_argument("--data", type=Path, default=shared_data(), help="folder of real data")
    parser.add_argument("--json", action="store_true", help="lines of JSON alone")
    given = parser.parse_args()
    unknown = [name for name in given.names if name not in SCORES]
    if unknown:
        parser.error(f"there is no {unknown[0]}; there are {', '.join(SCORES)}")
    pasts: list[Shop | Absent]
    if any_here(given.data):
        pasts = shops(given.data)
    else:
        print(
            f"There is no real data in {given.data}; the simulated shop is judged. It shows that"
            " the scores work, not how good they are elsewhere.",
            file=sys.stderr,
        )
        pasts = [simulated()]
    found = [one for name in given.names or SCORES for past in pasts for one in SCORES[name](past)]
    print("\n".join(as_json(one) for one in found))
    if not given.json:
        print("\n" + as_page(found), end="")
    missed = [one for one in found if one.reached is False]
    for one in missed:
        print(f"missed: {one.name} is {one.value:.6g}, the goal {one.goal:.6g}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
