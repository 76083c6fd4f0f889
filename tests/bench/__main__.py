"""Measure, print a table, keep the numbers in bench-out/; `--check` fails on what got worse.

make bench                    measure everything (some minutes)
make bench-check              the same, and fail a row that is over its budget or fell back
python -m bench --only noop   one subject, with tests/ on the path
python -m bench --keep        measure and make these numbers the baseline
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from importlib import import_module
from pathlib import Path

from bench import judgement, machine, page
from bench.row import Row

SUBJECTS = ("startup", "planning", "overhead", "noop", "idle")
OUT = Path(__file__).resolve().parents[2] / "bench-out"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=SUBJECTS, action="append", help="measure this subject; repeatable")
    parser.add_argument("--check", action="store_true", help="fail when a row is over budget or fell back")
    parser.add_argument("--keep", action="store_true", help="make these numbers the baseline and those of the page")
    parser.add_argument("--busy", action="store_true", help="keep them although other programs run here")
    options = parser.parse_args()

    if options.keep and options.only:
        parser.error("a baseline has all subjects: --keep goes without --only")
    busy = machine.busy()
    if busy and options.keep and not options.busy:
        parser.error(f"{busy}: numbers kept now would hide what gets worse; try: later, or --busy")

    rows = list(_measured(options.only or SUBJECTS))
    here = machine.describe()
    report = {"machine": here, "busy": busy, "rows": [row.to_json() for row in rows]}
    OUT.mkdir(exist_ok=True)
    text = json.dumps(report, indent=1, ensure_ascii=False) + "\n"
    (OUT / time.strftime("%Y%m%dT%H%M%SZ.json", time.gmtime())).write_text(text, encoding="utf-8")

    limits = judgement.budgets()
    print("\n" + ", ".join(f"{name} {value}" for name, value in here.items()))
    if busy:
        print(f"{busy}: these numbers are too high")
    print(page.table(rows, limits))
    failed = judgement.failures(rows, limits, judgement.baseline(), here)
    for line in failed:
        print(f"worse: {line}", file=sys.stderr)
    if options.keep:
        judgement.BASELINE.write_text(text, encoding="utf-8")
        told = page.pasted(page.PAGE.read_text(encoding="utf-8"), rows, limits, here, busy)
        page.PAGE.write_text(told, encoding="utf-8")
    return 1 if options.check and failed else 0


def _measured(subjects: list[str] | tuple[str, ...]) -> list[Row]:
    rows: list[Row] = []
    for subject in subjects:
        for row in import_module(f"bench.rows.{subject}").measure():
            details = "".join(f"; {name}: {value:.4g}" for name, value in row.details.items())
            print(f"{row.name}: {row.value:.4g} {row.unit}{details}", flush=True)
            rows.append(row)
    return rows


if __name__ == "__main__":
    sys.exit(main())
