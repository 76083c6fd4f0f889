"""Train a linear model: one weight per pixel and digit."""

import argparse
import json
from pathlib import Path

import joblib
import numpy as np
from sklearn.linear_model import LogisticRegression

from stepwell import Run

PENALTY = 1.0  # inverse strength: smaller keeps the weights smaller
STEPS = 2000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--digits", type=Path, required=True, help="folder with train.npz and test.npz")
    parser.add_argument("--seed", type=int, required=True, help="seed of everything random here")
    parser.add_argument("--model", type=Path, required=True, help="folder to write the model to")
    options = parser.parse_args()

    train, test = (np.load(options.digits / f"{part}.npz") for part in ("train", "test"))
    model = LogisticRegression(C=PENALTY, max_iter=STEPS, random_state=options.seed)
    model.fit(train["pixels"], train["labels"])
    answers = model.predict(test["pixels"])
    accuracy = float(np.mean(answers == test["labels"]))

    options.model.mkdir(parents=True)
    joblib.dump(model, options.model / "model.joblib")
    np.save(options.model / "answers.npy", answers)
    scores = {"model": "logistic regression", "accuracy": accuracy, "penalty": PENALTY}
    (options.model / "scores.json").write_text(json.dumps(scores, indent=2), encoding="utf-8")

    run = Run.get_context()
    run.log("accuracy", accuracy)
    run.log("steps_taken", int(model.n_iter_[0]))
    print(f"logistic regression: {accuracy:.4f} of the {len(answers)} held-out scans read correctly")


if __name__ == "__main__":
    main()
