"""What training takes on a CUDA GPU: an 8B model in 4 bits, a 3B one in bfloat16, and the speed beside SFTTrainer.

    python -m benchmarks.gpu_training [--folder FOLDER] [--json]

Models of the true shapes (Llama 3.1 8B, Llama 3.2 3B) are made of random weights, since neither memory nor speed
depends on what weights say; they take 23 GB of disk. It needs a CUDA GPU, the extra `train`, and for the speed
the packages `trl` and `datasets`; where there is no such GPU it says so and measures nothing.

Targets: the 8B model loads in 4 bits (double quantisation) within 6.5 GiB; LoRA of the 3B model in bfloat16 takes at
most 16 GB at 1,024 tokens; at least 1.1 times SFTTrainer's tokens a second.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks import common, training
from smallenough.records import Message
from smallenough.resources.monitor import ResourceMonitor, probes_for
from smallenough.resources.samples import Sample
from smallenough.training.data import Row
from smallenough.training.messages import Ended, Loaded, Stepped
from smallenough.training.process import TrainingProcess
from smallenough.training.settings import TrainingSettings

GIB = 2**30
MOST_8B, MOST_3B = 6.5 * GIB, 16e9
TOKENS = 1024
SHAPES: dict[str, dict[str, Any]] = {
    "8B": {"hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32},
    "3B": {
        "hidden_size": 3072,
        "intermediate_size": 8192,
        "num_hidden_layers": 28,
        "num_attention_heads": 24,
        "tie_word_embeddings": True,
    },
}
"""Of Llama 3.1 8B and Llama 3.2 3B; both have 8 heads of keys, 128 wide, and 128,256 tokens."""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--folder", type=Path, help="where the models are made, and left; by default a temporary one")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    if find_spec("torch") is None:
        raise SystemExit("torch is not installed, so that no GPU can be found: nothing was measured")
    import torch

    if not torch.cuda.is_available():
        raise SystemExit("there is no CUDA GPU here (torch finds none): nothing was measured")
    with tempfile.TemporaryDirectory() as temporary:
        place = options.folder or Path(temporary)
        result: dict[str, Any] = {"gpu": torch.cuda.get_device_name(0), "torch": torch.__version__}
        result["8B"] = trained(made(place, "8B"), 1, load_in_4bit=True, gradient_checkpointing=True)
        result["3B"] = trained(made(place, "3B"), 1)
        result["speed"] = speed(made(place, "3B"))
    result["met"] = {
        "8B": result["8B"]["loaded_bytes"] <= MOST_8B,
        "3B": result["3B"]["peak_bytes"] <= MOST_3B,
        "speed": bool(result["speed"].get("met")),
    }
    print(json.dumps(result, indent=2)) if options.json else show(result)
    return 0


def made(place: Path, name: str) -> Path:
    """The folder of a model of random weights; it is made where it is not there."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from tests.models.tiny_models import tokenizer

    folder = place / name
    if (folder / "config.json").is_file():
        return folder
    config = AutoConfig.for_model(
        "llama",
        num_key_value_heads=8,
        head_dim=128,
        vocab_size=128_256,
        max_position_embeddings=8192,
        **SHAPES[name],
        eos_token_id=257,
        bos_token_id=256,
        pad_token_id=258,
    )
    with torch.device("cuda"):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    model.save_pretrained(folder)
    tokenizer(folder)
    del model
    torch.cuda.empty_cache()
    return folder


def rows(count: int) -> list[Row]:
    """Rows of as many letters, which are tokens, as make `TOKENS` of them; an eighth of them is the answer."""
    answer = TOKENS // 8
    return [
        Row(str(number), (Message("user", f"{number:08d}" * (TOKENS // 8 - answer // 8)),), "x" * (answer - 2))
        for number in range(count)
    ]


def trained(folder: Path, batch: int, **more: Any) -> dict[str, Any]:
    """Loads and trains in a process of its own: its memory on the GPU when it is loaded, at most, and its rate."""
    settings = TrainingSettings(batch=batch, steps=12, precision="bfloat16", max_length=TOKENS, **more)
    steps: list[Stepped] = []
    with TrainingProcess() as process, tempfile.TemporaryDirectory() as output:
        _, counted = process.prepare(folder, rows(12 * batch), (), settings)
        loading = Watched(process.pid)
        process.begin(Path(output), "random")
        while not isinstance(process.next(), Loaded):
            pass
        loaded, _ = loading.stop()
        watched = Watched(process.pid)
        while not isinstance(report := process.next(), Ended):
            if isinstance(report, Stepped):
                steps.append(report)
        peak, watts = watched.stop()
    kept = steps[2:]
    return {
        "parameters": counted.parameters,
        "longest": counted.longest,
        "loaded_bytes": loaded,
        "peak_bytes": peak,
        "estimated_bytes": counted.memory_bytes,
        "rate": sum(step.tokens for step in kept) / sum(step.seconds for step in kept),
        "watts": watts,
    }


class Watched:
    """Watches a process's memory on the GPU; where the driver hides it, as in a container, that of the device."""

    def __init__(self, pid: int) -> None:
        self._device: list[int] = []
        self._monitor = ResourceMonitor(probes_for([pid]), sink=self._take)
        self._monitor.start()

    def _take(self, sample: Sample) -> None:
        self._device += [gpu.device_memory_bytes for gpu in sample.gpus[:1] if gpu.device_memory_bytes is not None]

    def stop(self) -> tuple[int, float | None]:
        """Bytes at most, and the mean watts."""
        usage = self._monitor.stop().usage
        most = usage.gpu_peak_memory_bytes
        watts = usage.gpu_energy_joules / usage.seconds if usage.gpu_energy_joules and usage.seconds else None
        if most is None and not self._device:
            raise SystemExit("the driver tells no memory: nothing was measured")
        return most if most is not None else max(self._device), watts


def speed(folder: Path) -> dict[str, Any]:
    """The rate beside SFTTrainer's, on the tasks of `basics`."""
    wanted = {"model": str(folder), "rounds": 2, "steps": 20, "batch": 8, "suite": "basics", "limit": None}
    return training.measure(argparse.Namespace(**wanted))


def show(result: dict[str, Any]) -> None:
    lines = [
        [
            name,
            f"{(one['loaded_bytes'] or 0) / GIB:.2f} GiB",
            f"{(one['peak_bytes'] or 0) / 1e9:.1f} GB",
            f"{one['rate']:.0f}",
        ]
        for name, one in result.items()
        if name in SHAPES
    ]
    common.show(
        f"{result['gpu']}, torch {result['torch']}, rows of {TOKENS} tokens, one at a time",
        ["", "loaded", "at most", "tokens a second"],
        lines,
        [
            f"8B in 4 bits loads within 6.5 GiB: {common.met(result['met']['8B'])}",
            f"3B in bfloat16 within 16 GB: {common.met(result['met']['3B'])}",
            f"{result['speed']['ratios']} times SFTTrainer, at least 1.1: {common.met(result['met']['speed'])}",
        ],
    )


if __name__ == "__main__":
    raise SystemExit(main())
