"""The demonstration behind `make demo`: run, run again, edit one line, run once more, and check each claim.

Uses the `stepwell` command and nothing else of Stepwell. Everything it makes lies in one folder
(`home/` with all state, `digits/` with the copied pipeline), which is made anew each time; your
own home is not touched. Ends with 0 when every claim held.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

SAMPLE = Path(__file__).resolve().parent / "digits"
EDITED = Path("train_svc", "train.py")
BEFORE, AFTER = "GAMMA = 0.02", "GAMMA = 0.1"
AFFECTED = {"train_svc", "compare", "report"}


class BrokenClaim(Exception):
    """What the demonstration showed is not what it says it shows."""


class Tour:
    """The command, the folder it plays in, and the environment that keeps it there."""

    def __init__(self, stepwell: Path, folder: Path) -> None:
        self.stepwell = stepwell.absolute()
        self.folder = folder.absolute()
        self.home = self.folder / "home"
        self.digits = self.folder / "digits"
        self.environment = {**os.environ, "STEPWELL_HOME": str(self.home)}

    def clear(self) -> None:
        """Stop the daemon of an earlier tour and remove what it made."""
        if self.home.exists() and self.stepwell.exists():
            self.call("daemon", "stop", cwd=self.folder)
        for made in (self.home, self.digits):
            for place, _, _ in os.walk(made):  # the store keeps its folders read-only
                Path(place).chmod(0o700)
            if made.exists():
                shutil.rmtree(made)

    def show(self, *words: str) -> None:
        """Run one command as the reader would, its output on this terminal."""
        print(f"\n$ stepwell {' '.join(words)}", flush=True)
        subprocess.run([self.stepwell, *words], cwd=self.digits, env=self.environment, check=True)

    def ask(self, *words: str) -> dict[str, Any]:
        """Return what one command says in JSON."""
        answer: dict[str, Any] = json.loads(self.call(*words, "--json", cwd=self.digits))
        return answer

    def call(self, *words: str, cwd: Path) -> str:
        """Return what one command prints; what it says beside that is shown only when it fails."""
        done = subprocess.run(
            [self.stepwell, *words], cwd=cwd, env=self.environment, check=True, capture_output=True, text=True
        )
        return done.stdout

    def run(self) -> dict[str, Any]:
        self.show("run", "pipeline.py")
        return self.ask("show", "last")

    def edit(self) -> None:
        script = self.digits / EDITED
        text = script.read_text(encoding="utf-8")
        claim(text.count(BEFORE) == 1, f"{EDITED} has the line {BEFORE!r} once")
        script.write_text(text.replace(BEFORE, AFTER), encoding="utf-8")
        print(f"\nediting {EDITED}:\n  - {BEFORE}\n  + {AFTER}", flush=True)


def claim(holds: bool, what: str) -> None:
    if not holds:
        raise BrokenClaim(what)


def heading(text: str) -> None:
    print(f"\n=== {text}", flush=True)


def names(run: dict[str, Any], *, reused: bool) -> set[str]:
    return {step["name"] for step in run["steps"] if step["reused"] is reused}


def accuracy(tour: Tour, first: dict[str, Any], last: dict[str, Any]) -> tuple[float, float]:
    """Return the best accuracy of the two runs, as `stepwell diff` puts them side by side."""
    difference = tour.ask("diff", str(first["number"]), str(last["number"]))
    for metric in difference["metrics"]:
        if (metric["step"], metric["name"]) == ("compare", "best_accuracy"):
            return float(metric["left"]), float(metric["right"])
    raise BrokenClaim(f"the metric moved (differences: {difference['metrics']})")


def guide(tour: Tour) -> None:
    heading("1 of 3: six steps on 1,797 scanned digits; the three models train at the same time")
    first = tour.run()
    claim(first["status"] == "Finished" and first["ran"] == 6, "the first run finished all six steps")

    heading("2 of 3: the same again; nothing changed, so nothing runs")
    second = tour.run()
    claim(second["ran"] == 0 and second["reused"] == 6, "the second run reused all six steps")

    heading("3 of 3: one line of one training script changes")
    tour.edit()
    tour.show("plan", "pipeline.py")
    third = tour.run()
    claim(names(third, reused=False) == AFFECTED, f"exactly {', '.join(sorted(AFFECTED))} ran")
    tour.show("why", "last", "train_svc")
    before, after = accuracy(tour, first, third)
    claim(after != before and max(before, after) >= 0.95, "the accuracy moved, and reads digits well")

    tour.show("show", "last")

    heading("what you saw")
    print(f"first run    {first['ran']} ran, {first['reused']} reused, {first['duration_s']:.2f} s")
    print(f"again        {second['ran']} ran, {second['reused']} reused, {second['duration_s']:.2f} s")
    print(f"one line     {third['ran']} ran, {third['reused']} reused, {third['duration_s']:.2f} s")
    print(f"best accuracy {before:.4f} -> {after:.4f}")
    home, digits = (os.path.relpath(path) for path in (tour.home, tour.digits))
    print("report.html and confusion.png lie in the folder of report.report above")
    print(f"\nplay on:\n  export STEPWELL_HOME=$PWD/{home}")
    print(f"  {os.path.relpath(tour.stepwell)} run {digits}/pipeline.py -p seed=3")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stepwell", type=Path, required=True, help="the command to demonstrate")
    parser.add_argument("--folder", type=Path, required=True, help="where to play; made anew")
    parser.add_argument("--remove", action="store_true", help="only remove what an earlier tour made")
    options = parser.parse_args()
    tour = Tour(options.stepwell, options.folder)
    try:
        tour.clear()
        if options.remove:
            shutil.rmtree(tour.folder, ignore_errors=True)
            return 0
        tour.folder.mkdir(parents=True, exist_ok=True)
        shutil.copytree(SAMPLE, tour.digits, ignore=shutil.ignore_patterns("__pycache__", ".stepwell"))
        try:
            guide(tour)
        finally:
            tour.call("daemon", "stop", cwd=tour.folder)
    except BrokenClaim as broken:
        print(f"\ndemo: this did not hold: {broken}", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as failed:
        print(f"\ndemo: {failed}\n{failed.stderr or ''}", file=sys.stderr)
        return failed.returncode if failed.returncode > 0 else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
