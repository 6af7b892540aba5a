"""Compares two models from Python: a large one as it is, a small one as it is and with branching.

    python examples/compare_two_models.py LARGE SMALL

Both are models of the Ollama server at `OLLAMA_HOST`, else at localhost:11434.
"""

import sys

from smallenough import ExperimentRunner, Settings, Wish

large, small = sys.argv[1:3]
runner = ExperimentRunner("basics", Settings(experiment="example"), limit=3)
result = runner.run_batch_experiments(
    [
        Wish(large, (("single", {}),), size_class="large", baseline=True),
        Wish(small, (("single", {}), ("branching", {"width": 1, "max_depth": 1})), size_class="small"),
    ]
)

frame = runner.compare_models([result.session]).comparison.to_frame()
print(frame[["arm", "trials", "solved", "solved_rate", "latency_seconds_mean"]].to_string(index=False))

attempts = runner.read([result.session]).attempts
print(attempts.groupby("arm")[["tokens_out", "latency_seconds"]].sum().to_string())
