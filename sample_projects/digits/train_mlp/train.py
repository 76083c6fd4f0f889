"""Train a small neural network: 64 pixels, one hidden layer, 10 digits."""

import argparse
import json
from pathlib import Path

import joblib
import numpy as np
from sklearn.neural_network import MLPClassifier

from stepwell import Run

HIDDEN = 64  # units of the one hidden layer
LEARNING_RATE = 0.01
EPOCHS = 40


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--digits", type=Path, required=True, help="folder with train.npz and test.npz")
    parser.add_argument("--seed", type=int, required=True, help="seed of everything random here")
    parser.add_argument("--model", type=Path, required=True, help="folder to write the model to")
    options = parser.parse_args()

    train, test = (np.load(options.digits / f"{part}.npz") for part in ("train", "test"))
    run = Run.get_context()
    model = MLPClassifier((HIDDEN,), learning_rate_init=LEARNING_RATE, random_state=options.seed)
    pixels, labels = train["pixels"], train["labels"]
    for _ in range(EPOCHS):
        model.partial_fit(pixels, labels, classes=range(10))
        run.log("loss", float(model.loss_))
    answers = model.predict(test["pixels"])
    accuracy = float(np.mean(answers == test["labels"]))

    options.model.mkdir(parents=True)
    joblib.dump(model, options.model / "model.joblib")
    np.save(options.model / "answers.npy", answers)
    scores = {"model": "neural network", "accuracy": accuracy, "hidden": HIDDEN, "epochs": EPOCHS}
    (options.model / "scores.json").write_text(json.dumps(scores, indent=2), encoding="utf-8")

    run.log("accuracy", accuracy)
    print(f"neural network: {accuracy:.4f} of the {len(answers)} held-out scans read correctly")


if __name__ == "__main__":
    main()
