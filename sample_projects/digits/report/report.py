"""Draw what the best model confuses, and write the comparison as a page: report.md and report.html."""

import argparse
import html
import json
from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # no display is needed, nor looked for

import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import confusion_matrix

from stepwell import Run


def draw(counts: np.ndarray, title: str, path: Path) -> None:
    """Write a picture of `counts` [digit on the scan, digit read]; the diagonal is what went well."""
    figure, axes = plt.subplots(figsize=(5.2, 5.2), layout="constrained")
    axes.imshow(np.log1p(counts), cmap="Blues")
    for row, column in np.argwhere(counts):
        color = "white" if row == column else "black"
        axes.text(column, row, counts[row, column], ha="center", va="center", color=color, fontsize=9)
    axes.set(title=title, xlabel="digit read", ylabel="digit on the scan", xticks=range(10), yticks=range(10))
    figure.savefig(path, dpi=110)
    plt.close(figure)


def as_markdown(board: dict) -> str:
    lines = ["# Reading handwritten digits", "", "| model | accuracy | wrong |", "| --- | ---: | ---: |"]
    for row in board["rows"]:
        name = f"**{row['model']}**" if row["model"] == board["best"] else row["model"]
        lines.append(f"| {name} | {row['accuracy']:.4f} | {row['wrong']} |")
    return "\n".join([*lines, "", "![what the best model confuses](confusion.png)", ""])


def as_html(board: dict) -> str:
    rows = "".join(
        f"<tr><td>{html.escape(row['model'])}</td><td>{row['accuracy']:.4f}</td><td>{row['wrong']}</td></tr>"
        for row in board["rows"]
    )
    table = f"<table><tr><th>model</th><th>accuracy</th><th>wrong</th></tr>{rows}</table>"
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Handwritten digits</title>'
        f"<h1>Reading handwritten digits</h1>{table}<p>Best: {html.escape(board['best'])}</p>"
        '<img src="confusion.png" alt="what the best model confuses"></html>\n'
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chosen", type=Path, required=True, help="folder with the scoreboard and the answers")
    parser.add_argument("--report", type=Path, required=True, help="folder to write the page to")
    options = parser.parse_args()

    board = json.loads((options.chosen / "scoreboard.json").read_text(encoding="utf-8"))
    best = np.load(options.chosen / "answers.npz")
    counts = confusion_matrix(best["labels"], best["answers"], labels=range(10))

    options.report.mkdir(parents=True)
    picture = options.report / "confusion.png"
    draw(counts, f"{board['best']}: {int(np.trace(counts))} of {int(counts.sum())} right", picture)
    (options.report / "report.md").write_text(as_markdown(board), encoding="utf-8")
    (options.report / "report.html").write_text(as_html(board), encoding="utf-8")

    Run.get_context().log_image("confusion", path=str(picture))
    print(as_markdown(board))


if __name__ == "__main__":
    main()
