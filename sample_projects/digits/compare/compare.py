"""Put the models side by side and keep the best one; a tie goes to the one named first."""

import argparse
import json
import shutil
from pathlib import Path

import numpy as np

from stepwell import Run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--digits", type=Path, required=True, help="folder with test.npz, the right answers")
    parser.add_argument("--models", type=Path, required=True, nargs="+", help="folders the training steps wrote")
    parser.add_argument("--chosen", type=Path, required=True, help="folder to write the best model to")
    options = parser.parse_args()

    labels = np.load(options.digits / "test.npz")["labels"]
    rows = []
    for folder in options.models:
        scores = json.loads((folder / "scores.json").read_text(encoding="utf-8"))
        wrong = int(np.sum(np.load(folder / "answers.npy") != labels))
        rows.append({"model": scores["model"], "accuracy": scores["accuracy"], "wrong": wrong})
    best = max(range(len(rows)), key=lambda row: rows[row]["accuracy"])

    options.chosen.mkdir(parents=True)
    shutil.copyfile(options.models[best] / "model.joblib", options.chosen / "model.joblib")
    answers = np.load(options.models[best] / "answers.npy")
    np.savez(options.chosen / "answers.npz", answers=answers, labels=labels)
    board = {"best": rows[best]["model"], "rows": rows}
    (options.chosen / "scoreboard.json").write_text(json.dumps(board, indent=2), encoding="utf-8")

    run = Run.get_context()
    for row in rows:
        run.log_row("models", **row)
        print(f"{row['model']:<20} {row['accuracy']:.4f}  {row['wrong']} wrong")
    run.log("best_accuracy", rows[best]["accuracy"])
    print(f"best: {rows[best]['model']}")


if __name__ == "__main__":
    main()
