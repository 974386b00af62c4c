"""Which seeds are to be lived through? `python -m aftersale.testing.simulation --runs 20`."""

import argparse
import sys

import msgspec

from aftersale.testing.simulation.run import Simulation


def main() -> int:
    """Run the seeds; a line of JSON each; 1 where something was wrong."""
    parser = argparse.ArgumentParser(prog="python -m aftersale.testing.simulation")
    parser.add_argument("--seed", type=int, default=1, help="the first seed (1)")
    parser.add_argument("--runs", type=int, default=10, help="how many seeds (10)")
    parser.add_argument("--days", type=int, default=60, help="days of each run (60)")
    given = parser.parse_args()
    failed = []
    for seed in range(given.seed, given.seed + given.runs):
        outcome = Simulation(seed, days=given.days).run()
        sys.stdout.write(msgspec.json.encode(outcome).decode() + "\n")
        sys.stdout.flush()
        if outcome.wrong:
            failed.append(seed)
    if failed:
        sys.stdout.write(f"failed: seed {', '.join(map(str, failed))}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
