"""Tokens a second of `train` beside TRL's SFTTrainer, on the same model, rows, batch and steps; and what both learn.

    python -m benchmarks.training [--rounds 2] [--steps 12] [--batch 8] [--suite basics] [--model smollm2:135m] [--json]

Tokens are those of the rows, prompts and answers, however they are computed: padding counts for nobody. The first step
of each side is left out. CPU seconds are told too: a busy machine changes them less than the time. SFTTrainer is begun
as its documentation does (a LoRA configuration, `prompt` and `completion` as messages), with the same weights, learning
rate, schedule and steps; once with all its defaults, and once with what its users turn off on a processor
(`gradient_checkpointing=False`, `bf16=False`). In the end the loss of each adapter is measured on all rows by one plain
loop, since the sides see the rows in different orders. It needs the packages `trl` and `datasets`, and the model
(`smallenough models --pull huggingface:smollm2:135m`).

Target: at least 1.3 times the tokens a second of SFTTrainer's defaults on a processor, 1.1 times on a GPU, at the same
loss.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from benchmarks import common
from smallenough.models import weights
from smallenough.models.catalogue import defaults_for
from smallenough.prompts import Prompts
from smallenough.sessions.suites import open_suite
from smallenough.tasks.select import select
from smallenough.tracking.store import Store
from smallenough.training.data import Row, rows
from smallenough.training.messages import Ended, Stepped
from smallenough.training.process import TrainingProcess
from smallenough.training.settings import TrainingSettings

TARGETS = {"cpu": 1.3, "cuda": 1.1}
LEARNING_RATE = 5e-4
RANK, ALPHA = 16, 32
NEAR = 0.05
"""Share by which the losses may differ: the rows come in another order."""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--suite", default="basics")
    parser.add_argument("--limit", type=int, default=None, help="so many tasks of it at most")
    parser.add_argument("--model", default=common.MODEL)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        print(json.dumps(side(options)))
        return 0
    result = measure(options)
    print(json.dumps(result, indent=2)) if options.json else show(result)
    return 0


def learned(options: argparse.Namespace) -> list[Row]:
    suite = select(open_suite(options.suite, Store.local(Path("mlruns").absolute())), limit=options.limit)
    return list(rows(suite, Prompts.load(defaults_for(options.model).size_class)))


def side(options: argparse.Namespace) -> dict[str, Any]:
    """Trains once in this process or a child of it; tells the rate, and the loss of what was learned."""
    folder, data = weights.find(options.model).folder, learned(options)
    with tempfile.TemporaryDirectory() as output:
        told = SIDES[options.side](folder, data, options, Path(output))
        return {**told, "loss": loss(folder, Path(output), data), "rows": len(data)}


def measure(options: argparse.Namespace) -> dict[str, Any]:
    given = ("--steps", options.steps, "--batch", options.batch, "--suite", options.suite, "--model", options.model)
    more = ("--limit", options.limit) if options.limit else ()

    def one(name: str, _round: int) -> dict[str, Any]:
        return common.child("training", "--side", name, *given, *more)

    told = common.alternate(options.rounds, [(name, partial(one, name)) for name in SIDES])
    ours = told["smallenough"]
    ratios = {name: common.ratios(ours, told[name], "rate") for name in SIDES if name != "smallenough"}
    target = TARGETS[ours[0]["device"]]
    losses = {name: common.median([one["loss"] for one in runs]) for name, runs in told.items()}
    return {
        "sides": told,
        "steps": options.steps,
        "batch": options.batch,
        "suite": options.suite,
        "model": options.model,
        "ratios": ratios,
        "target": target,
        "met": common.median(ratios["SFTTrainer"]) >= target,
        "losses": losses,
        "near": all(losses["smallenough"] <= (1 + NEAR) * found for found in losses.values()),
    }


def show(result: dict[str, Any]) -> None:
    lines = [
        [
            name,
            common.spread([one["rate"] for one in runs], 1),
            common.spread([one["step_seconds"] for one in runs]),
            common.spread([1000 * one["cpu_seconds"] for one in runs], 1),
            f"{result['losses'][name]:.3f}",
            str(runs[0]["precision"]),
        ]
        for name, runs in result["sides"].items()
    ]
    tuned = ", ".join(
        f"{common.spread(found)} times {name}" for name, found in result["ratios"].items() if name != "SFTTrainer"
    )
    common.show(
        f"{result['model']}, {result['sides']['smallenough'][0]['rows']} rows of {result['suite']}, batches of"
        f" {result['batch']}, {result['steps']} steps, on {result['sides']['smallenough'][0]['device']}",
        ["", "tokens a second", "seconds a step", "CPU ms a token", "loss after", "precision"],
        lines,
        [
            f"{common.spread(result['ratios']['SFTTrainer'])} times SFTTrainer's defaults; at least"
            f" {result['target']}: {common.met(result['met'])}",
            f"{tuned}",
            f"the loss is at most {NEAR:.0%} above each other's: {common.met(result['near'])}",
        ],
    )


# ------------------------------------------------------------------------------------------------------- the sides


def ours(folder: Path, data: list[Row], options: argparse.Namespace, output: Path) -> dict[str, Any]:
    settings = TrainingSettings(
        rank=RANK,
        alpha=ALPHA,
        learning_rate=LEARNING_RATE,
        warmup=0.0,
        batch=options.batch,
        steps=options.steps,
        max_length=2048,
    )
    steps: list[Stepped] = []
    cpu: list[float] = []
    with TrainingProcess() as process:
        ready, counted = process.prepare(folder, data, (), settings)
        process.begin(output, options.model)
        while not isinstance(report := process.next(), Ended):
            if isinstance(report, Stepped):
                steps.append(report)
                cpu.append(sum(psutil.Process(process.pid).cpu_times()[:2]))
    kept = steps[1:]
    seconds = sum(step.seconds for step in kept)
    return {
        "rate": sum(step.tokens for step in kept) / seconds,
        "step_seconds": seconds / len(kept),
        "cpu_seconds": (cpu[-1] - cpu[0]) / sum(step.tokens for step in kept),
        "device": ready.device,
        "precision": counted.precision,
        "shared": counted.computed_tokens / counted.tokens,
    }


def theirs(folder: Path, data: list[Row], options: argparse.Namespace, output: Path, **more: Any) -> dict[str, Any]:
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
    from trl import SFTConfig, SFTTrainer

    from smallenough.training.network import precision
    from smallenough.training.tokenizing import RowTokens

    place = "cuda" if torch.cuda.is_available() else "cpu"
    kind = precision(place, TrainingSettings())
    lengths = {row.id: len(tokens) for row, tokens in zip(data, RowTokens(str(folder)).rows(data), strict=True)}

    class Clock(TrainerCallback):  # type: ignore[misc]
        def __init__(self) -> None:
            self.begun, self.seconds, self.cpu = 0.0, list[float](), list[float]()

        def on_step_begin(self, *_: Any, **__: Any) -> None:
            self.begun = time.perf_counter()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            self.seconds.append(time.perf_counter() - self.begun)
            self.cpu.append(time.process_time())

    rows_of = [
        {
            "prompt": [{"role": message.role, "content": message.content} for message in row.messages],
            "completion": [{"role": "assistant", "content": row.answer}],
        }
        for row in data
    ]
    clock = Clock()
    trainer = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, kind)),
        processing_class=AutoTokenizer.from_pretrained(folder),
        train_dataset=Dataset.from_list(rows_of),
        args=SFTConfig(
            output_dir=str(output / "trainer"),
            per_device_train_batch_size=options.batch,
            max_steps=options.steps,
            learning_rate=LEARNING_RATE,
            max_length=2048,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            use_cpu=place == "cpu",
            **more,
        ),
        peft_config=LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules="all-linear", task_type="CAUSAL_LM"),
        callbacks=[clock],
    )
    torch.set_num_threads(common_threads())
    trainer.train()
    trainer.save_model(str(output))
    kept = clock.seconds[1:]
    mean = sum(lengths.values()) / len(lengths)  # which rows a step has, the trainer does not tell
    tokens = mean * min(options.batch, len(data)) * len(kept)
    return {
        "rate": tokens / sum(kept),
        "step_seconds": sum(kept) / len(kept),
        "cpu_seconds": (clock.cpu[-1] - clock.cpu[0]) / tokens,
        "device": place,
        "precision": "bfloat16" if trainer.args.bf16 else kind,
    }


def common_threads() -> int:
    from smallenough.machine import usable_cores

    return usable_cores()


Side = Callable[[Path, list[Row], argparse.Namespace, Path], dict[str, Any]]
SIDES: dict[str, Side] = {
    "smallenough": ours,
    "SFTTrainer": theirs,
    "SFTTrainer without checkpointing and bf16": partial(theirs, gradient_checkpointing=False, bf16=False),
}


def loss(folder: Path, adapter: Path, data: list[Row]) -> float:
    """The mean loss over the answers' tokens, row by row, of the base with an adapter."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    from smallenough.training.tokenizing import RowTokens

    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32), str(adapter))
    model.eval()
    total, count = 0.0, 0
    with torch.inference_mode():
        for row in RowTokens(str(folder)).rows(data):
            tokens = torch.tensor([[*row.prompt, *row.answer]])
            kept = torch.arange(len(row.prompt) - 1, len(row) - 1)
            logits = model(input_ids=tokens, logits_to_keep=kept).logits[0].float()
            targets = torch.tensor(row.answer)
            total += float(torch.nn.functional.cross_entropy(logits, targets, reduction="sum"))
            count += len(row.answer)
    return total / count


if __name__ == "__main__":
    raise SystemExit(main())
