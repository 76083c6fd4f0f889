"""Reading handwritten digits: prepare, train three models at once, compare them, report.

    prepare ──┬── train_logistic ──┬── compare ── report
              ├── train_svc ───────┤
              └── train_mlp ───────┘

    stepwell run pipeline.py                      # from a terminal
    stepwell run pipeline.py -p seed=3            # other held-out scans
    python pipeline.py                            # the same, as a script

Every step has a folder of its own: what lies in it is what counts for that step, so editing
one training script reruns that model and what is below it, and nothing else.
"""

from pathlib import Path

from stepwell import Experiment, Pipeline, PipelineData, PipelineParameter, PythonScriptStep, Workspace

HERE = Path(__file__).resolve().parent
MODELS = ("logistic", "svc", "mlp")

workspace = Workspace.from_config()
seed = PipelineParameter("seed", default_value=7)
held_out = PipelineParameter("held_out", default_value=0.25)

digits = PipelineData("digits")
prepare = PythonScriptStep(
    "prepare.py",
    name="prepare",
    source_directory=str(HERE / "prepare"),
    arguments=["--seed", seed, "--held-out", held_out, "--digits", digits],
    outputs=[digits],
    compute_target="local",
    cpus=1,
)

trained = {model: PipelineData(f"model_{model}") for model in MODELS}
train = [
    PythonScriptStep(
        "train.py",
        name=f"train_{model}",
        source_directory=str(HERE / f"train_{model}"),
        arguments=["--digits", digits, "--seed", seed, "--model", output],
        inputs=[digits],
        outputs=[output],
        compute_target="local",
        cpus=1,
    )
    for model, output in trained.items()
]

chosen = PipelineData("chosen")
compare = PythonScriptStep(
    "compare.py",
    name="compare",
    source_directory=str(HERE / "compare"),
    arguments=["--digits", digits, "--models", *trained.values(), "--chosen", chosen],
    inputs=[digits, *trained.values()],
    outputs=[chosen],
    compute_target="local",
    cpus=1,
)

page = PipelineData("report")
report = PythonScriptStep(
    "report.py",
    name="report",
    source_directory=str(HERE / "report"),
    arguments=["--chosen", chosen, "--report", page],
    inputs=[chosen],
    outputs=[page],
    compute_target="local",
    cpus=1,
)

pipeline = Pipeline(
    workspace,
    steps=[report],  # what it needs is found by following the data
    description="three classifiers for 1,797 scanned digits, and which of them reads best",
)

if __name__ == "__main__":
    run = Experiment(workspace, "digits").submit(pipeline)
    run.wait_for_completion(show_output=True)
