"""Load the scans and split them: what the models learn from, and what they are judged by.

The data are the 1,797 handwritten digits that ship inside scikit-learn: 8 x 8 pixels with 17
levels of grey, from 13 people whose writing is in both parts of the split.
"""

import argparse
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from stepwell import Run

BRIGHTEST = 16.0  # the pixels are 0 to 16; every model here prefers 0 to 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, required=True, help="decides which scans are held out")
    parser.add_argument("--held-out", type=float, required=True, help="share of scans kept for judging, 0 to 1")
    parser.add_argument("--digits", type=Path, required=True, help="folder to write train.npz and test.npz to")
    options = parser.parse_args()

    scans = load_digits()
    pixels = (scans.data / BRIGHTEST).astype(np.float32)  # [scan, 64]
    train_x, test_x, train_y, test_y = train_test_split(
        pixels, scans.target, test_size=options.held_out, random_state=options.seed, stratify=scans.target
    )

    options.digits.mkdir(parents=True)
    np.savez(options.digits / "train.npz", pixels=train_x, labels=train_y)
    np.savez(options.digits / "test.npz", pixels=test_x, labels=test_y)

    run = Run.get_context()
    run.log("scans_to_learn_from", len(train_y))
    run.log("scans_to_judge_by", len(test_y))
    print(f"{len(pixels)} scans: {len(train_y)} to learn from, {len(test_y)} to judge by")


if __name__ == "__main__":
    main()
