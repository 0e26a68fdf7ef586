"""`python -m bench [NAME ...]`: take the measures, write build/bench.json, print a table.

Without names all are taken. What is written for the others in the file stays, as long as the machine is the same.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from bench import cadence, journal, leaving, repair, scale, stats, suspension, telling, throughput
from bench.process import machine
from bench.stats import Figure
from bench.watcher import say
from support.localcluster import LocalClusterError

RUNS = 5
RESULT = Path(__file__).parents[2] / "build" / "bench.json"
Measure = Callable[[Sequence[str], int], Iterable[Figure]]
# Figures that come from the same measurement stand together. More are added here.
FAMILIES: tuple[tuple[tuple[str, ...], Measure], ...] = (
    (("onboarding_throughput", "onboarding_writes_per_agent"), lambda _, runs: throughput.measure(runs)),
    (("repair_latency",), lambda _, runs: repair.measure(runs)),
    (("suspend_1000",), lambda _, runs: [suspension.many(runs)]),
    (scale.NAMES, scale.measure),
    (("retraining_throughput",), lambda _, runs: [cadence.trained(runs)]),
    (cadence.IDLE_NAMES, cadence.idle),
    (("offboarding_1000",), lambda _, runs: [leaving.offboarded(runs)]),
    (("journal_cost",), lambda _, runs: [telling.cost(runs)]),
    (("journal_verify_1m",), lambda _, runs: [journal.verified(runs)]),
)
NAMES = tuple(name for names, _ in FAMILIES for name in names)


def main() -> int:
    """Take the measures that are named; 0 where all could be taken."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(NAMES)} (default: all)")
    parser.add_argument("--runs", type=int, default=RUNS, help="runs of each measure (default: %(default)s)")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.names) - set(NAMES))
    if unknown:
        parser.error(f"no figure named {', '.join(unknown)}; there are {', '.join(NAMES)}")
    # Both end the control plane and the operator on the way out, also where a shell started this with SIGINT ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))
    began = time.monotonic()
    figures: list[Figure] = []
    try:
        for names, measure in FAMILIES:
            wanted = [name for name in names if not arguments.names or name in arguments.names]
            if wanted:
                for figure in measure(wanted, arguments.runs):
                    if figure.name in wanted:
                        figures.append(figure)
                        write(figures)
    except KeyboardInterrupt:
        say("stopped; nothing is left running")
        return 130
    except LocalClusterError as error:
        print(error, file=sys.stderr)
        return 1
    print(stats.table(figures))
    say(f"took {(time.monotonic() - began) / 60:.1f} minutes; written to {RESULT}")
    return 0


def write(figures: Sequence[Figure]) -> None:
    """Put the figures into the file, so that what was measured is kept whatever comes after."""
    old = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps(stats.merged(old, machine(), figures), indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
