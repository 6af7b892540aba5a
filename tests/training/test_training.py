"""Trainings of tiny models, each in a process of its own: what is learned, gone on with, and told where it fails."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from smallenough.errors import InputError, ModelError, ModelOutOfMemory
from smallenough.training.folder import CHECKPOINT, LOG
from smallenough.training.messages import Counted, Ended, Report, Saved, Stepped, Validated
from smallenough.training.process import TrainingProcess
from smallenough.training.settings import TrainingSettings
from tests.full_disk import on_small_disk
from tests.training import tiny

pytestmark = [
    pytest.mark.engine,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),  # of peft's own
]

KINDS = ("llama", "mistral", "gemma2", "gemma3_text", "qwen2")
SHORT = TrainingSettings(precision="float32", max_length=500)
QUICK = SHORT.model_copy(update={"rank": 4, "batch": 4, "steps": 8, "learning_rate": 1e-2, "checkpoint_every": 3})


@pytest.fixture(scope="module")
def models(engine_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.make(tmp_path_factory.mktemp("tiny"), *KINDS)


@pytest.fixture(scope="module")
def whole(models: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Report]]:
    """A training that nothing broke off."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, tiny.trained(models / "llama", folder, QUICK)


def weights(folder: Path) -> bytes:
    return (folder / "adapter_model.safetensors").read_bytes()


def losses(reports: list[Report]) -> list[float]:
    return [report.loss for report in reports if isinstance(report, Stepped)]


def to_the_end(process: TrainingProcess) -> None:
    while not isinstance(process.next(), Ended):
        pass


# ------------------------------------------------------------------------------------------------ what is learned


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("checkpointing", [False, True], ids=["kept", "again"])
def test_loss_and_gradient_are_those_of_each_row_alone(models: Path, kind: str, checkpointing: bool) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    from smallenough.training.batches import pack
    from smallenough.training.network import Network, shape
    from smallenough.training.tokenizing import RowTokens

    folder = str(models / kind)
    settings = TrainingSettings(rank=4, gradient_checkpointing=checkpointing)
    network = Network(folder, "tiny", "cpu", "float32", shape(folder).targets(()), settings)
    with torch.no_grad():  # from zeros, one of the two matrices would get no gradient
        for one in network.weights:
            one.copy_(torch.randn(one.shape, generator=torch.Generator().manual_seed(one.numel())) * 0.1)
    rows = RowTokens(folder).rows(tiny.animals())
    together = pack(rows)
    assert together.shared > 10
    loss = network.learn(together, 1.0)
    gradients = [one.grad.clone() for one in network.weights]
    plain = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32)
    merged = network.model.merge_and_unload()
    plain.load_state_dict(merged.state_dict())
    alone = 0.0
    for row in rows:
        tokens = torch.tensor([[*row.prompt, *row.answer]])
        labels = tokens.clone()
        labels[:, : len(row.prompt)] = -100
        with torch.no_grad():
            alone += float(plain(input_ids=tokens, labels=labels).loss) * len(row.answer)
    assert loss == pytest.approx(alone, rel=1e-4)
    again = Network(folder, "tiny", "cpu", "float32", shape(folder).targets(()), settings)
    with torch.no_grad():
        for one in again.weights:
            one.copy_(torch.randn(one.shape, generator=torch.Generator().manual_seed(one.numel())) * 0.1)
    assert sum(again.learn(pack([row]), 1.0) for row in rows) == pytest.approx(loss, rel=1e-5)
    for one, gradient in zip(again.weights, gradients, strict=True):
        assert torch.allclose(one.grad, gradient, rtol=1e-3, atol=1e-5 * float(gradient.abs().max()) + 1e-6)


def test_a_model_learns_its_rows(models: Path, tmp_path: Path) -> None:
    settings = SHORT.model_copy(update={"rank": 8, "batch": 7, "steps": 150, "learning_rate": 2e-2})
    found = losses(tiny.trained(models / "llama", tmp_path, settings))
    assert len(found) == 150
    assert found[-1] < 0.3 * found[0]
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    assert (config["base_model_name_or_path"], config["r"], config["peft_type"]) == ("tiny", 8, "LORA")
    assert sorted(config["target_modules"]) == [
        "down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj",
    ]  # fmt: skip
    assert sorted(path.name for path in tmp_path.iterdir()) == ["adapter_config.json", "adapter_model.safetensors", LOG]


def test_accumulated_batches_come_to_one_large_one(models: Path, tmp_path: Path) -> None:
    parts = QUICK.model_copy(update={"batch": 2, "accumulation": 2})
    found = losses(tiny.trained(models / "llama", tmp_path / "parts", parts))
    one = losses(tiny.trained(models / "llama", tmp_path / "one", QUICK))
    assert found == pytest.approx(one, rel=1e-4)


def test_the_best_adapter_on_validation_is_kept_and_patience_ends_it(models: Path, tmp_path: Path) -> None:
    held, learned = tiny.animals()[:2], tiny.animals()[2:]
    more = {"rank": 8, "batch": 5, "steps": 300, "learning_rate": 3e-2, "validate_every": 5, "patience": 3}
    settings = SHORT.model_copy(update=more)
    reports = tiny.trained(models / "llama", tmp_path, settings, validation=held, learned=learned)
    told = [report for report in reports if isinstance(report, Validated)]
    ended = reports[-1]
    assert isinstance(ended, Ended)
    assert ended.why == "patience"
    assert ended.step == told[-1].step < 300
    best = min((report for report in told if report.step), key=lambda report: report.loss)
    assert ended.kept == best.step == ended.step - 15
    assert [report.best for report in told[-3:]] == [False] * 3
    assert told[0].step == 0


# ------------------------------------------------------------------------------------------------- broken off


def test_one_that_was_killed_goes_on_to_the_same_bits(
    models: Path, tmp_path: Path, whole: tuple[Path, list[Report]]
) -> None:
    def kill(process: TrainingProcess, report: Report) -> None:
        if isinstance(report, Stepped) and report.step == 5:
            os.kill(process.pid, signal.SIGKILL)

    with pytest.raises(ModelOutOfMemory, match=r"was killed from outside.*goes on from there"):
        tiny.trained(models / "llama", tmp_path, QUICK, watch=kill)
    assert (tmp_path / CHECKPOINT).is_file()
    reports = tiny.trained(models / "llama", tmp_path, QUICK)
    assert [report.step for report in reports if isinstance(report, Stepped)] == [4, 5, 6, 7, 8]
    assert losses(reports) == losses(whole[1])[3:]
    assert weights(tmp_path) == weights(whole[0])
    kinds = [json.loads(line)["kind"] for line in (tmp_path / LOG).read_text().splitlines()]
    assert kinds.count("stepped") == 5 + 5


@pytest.mark.parametrize("how", ["stop", "SIGTERM", "SIGINT"])
def test_one_that_was_stopped_saves_says_so_and_goes_on_to_the_same_bits(
    models: Path, tmp_path: Path, whole: tuple[Path, list[Report]], how: str
) -> None:
    def stop(process: TrainingProcess, report: Report) -> None:
        if isinstance(report, Stepped) and report.step == 2:
            process.stop() if how == "stop" else os.kill(process.pid, signal.Signals[how])

    first = tiny.trained(models / "llama", tmp_path, QUICK, watch=stop)
    saved, ended = first[-2:]
    assert isinstance(ended, Ended)
    assert isinstance(saved, Saved)
    assert (ended.why, ended.kept, ended.step) == ("stopped", None, saved.step)
    assert 2 <= saved.step < 8
    reports = tiny.trained(models / "llama", tmp_path, QUICK)
    assert weights(tmp_path) == weights(whole[0])
    assert losses(first) + losses(reports) == losses(whole[1])


def test_validation_dropout_and_patience_go_on_to_the_same_bits(models: Path, tmp_path: Path) -> None:
    settings = QUICK.model_copy(update={"dropout": 0.3, "validate_every": 2, "seed": 5})
    held, learned = tiny.animals()[:2], tiny.animals()[2:]

    def kill(process: TrainingProcess, report: Report) -> None:
        if isinstance(report, Saved) and report.step == 6:
            os.kill(process.pid, signal.SIGKILL)

    tiny.trained(models / "qwen2", tmp_path / "one", settings, validation=held, learned=learned)
    with pytest.raises(ModelOutOfMemory):
        tiny.trained(models / "qwen2", tmp_path / "two", settings, validation=held, learned=learned, watch=kill)
    tiny.trained(models / "qwen2", tmp_path / "two", settings, validation=held, learned=learned)
    assert weights(tmp_path / "one") == weights(tmp_path / "two")


def test_the_process_ends_with_its_client(models: Path, tmp_path: Path) -> None:
    settings = QUICK.model_copy(update={"steps": 100_000})
    program = f"""
from pathlib import Path
from smallenough.training.messages import Stepped
from smallenough.training.process import TrainingProcess
from smallenough.training.settings import TrainingSettings
from tests.training import tiny
process = TrainingProcess()
settings = TrainingSettings.model_validate({settings.model_dump()!r})
process.prepare(Path({str(models / "llama")!r}), tiny.animals(), (), settings)
process.begin(Path({str(tmp_path)!r}), "tiny")
while not isinstance(process.next(), Stepped):
    pass
print(process.pid, flush=True)
input()
"""
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
        child.wait(timeout=30)


# -------------------------------------------------------------------------------------------------- bad input


def refused(models: Path, **settings: Any) -> Exception:
    """What is said where a training can't begin."""
    with TrainingProcess() as process, pytest.raises((InputError, ModelError)) as raised:
        process.prepare(models / "llama", tiny.animals(), (), TrainingSettings(**settings))
    return raised.value


def test_unknown_layers_are_refused_with_the_known_ones(models: Path) -> None:
    error = refused(models, target_modules=("q_prj",), max_length=500)
    assert isinstance(error, InputError)
    assert "did you mean 'q_proj'? It has: down_proj, gate_proj, k_proj" in str(error)


def test_more_than_the_context_is_refused(models: Path) -> None:
    assert "max_length: 1024 is more than the model's context of 512 tokens" in str(refused(models))


def test_4_bit_without_a_gpu_is_refused(models: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    error = refused(models, load_in_4bit=True, max_length=500)
    assert isinstance(error, InputError)
    assert "CUDA GPU" in str(error)


def test_long_rows_are_counted_and_never_cut(models: Path) -> None:
    lengths = {  # every letter is a token; a space before the answer, and its end
        row.id: len("\n\n".join(message.content for message in row.messages)) + len(row.answer) + 2
        for row in tiny.animals()
    }
    most = sorted(lengths.values())[3]
    with TrainingProcess() as process:
        _, counted = process.prepare(models / "llama", tiny.animals(), (), TrainingSettings(max_length=most))
    assert isinstance(counted, Counted)
    assert set(counted.too_long) == {name for name, size in lengths.items() if size > most}
    assert counted.longest_of_all == max(lengths.values())
    assert counted.longest == most
    assert counted.rows == len(lengths) - len(counted.too_long)
    assert counted.tokens == sum(size for size in lengths.values() if size <= most)


def test_a_loss_that_is_no_number_stops_it_and_the_good_checkpoint_is_kept(models: Path, tmp_path: Path) -> None:
    settings = QUICK.model_copy(update={"alpha": 1e18, "checkpoint_every": 1, "clip": 1e30})
    with pytest.raises(ModelError, match=r"is no number.*checkpoint before is kept.*--learning-rate"):
        tiny.trained(models / "llama", tmp_path, settings)
    kinds = [json.loads(line)["kind"] for line in (tmp_path / LOG).read_text().splitlines()]
    assert kinds[-1] == "failed"
    assert not (tmp_path / "adapter_model.safetensors").exists()
    if "saved" in kinds:
        import torch

        state = torch.load(tmp_path / CHECKPOINT, weights_only=True)
        assert all(bool(torch.isfinite(one).all()) for one in state["adapter"].values())


def test_too_little_memory_says_what_to_lower(models: Path, tmp_path: Path) -> None:
    learned = tiny.animals(copies=120)
    settings = SHORT.model_copy(update={"rank": 4, "batch": 840, "steps": 2})
    with TrainingProcess() as process:
        process.prepare(models / "llama", learned, (), settings)
        held = psutil.Process(process.pid).memory_info().vms
        resource.prlimit(process.pid, resource.RLIMIT_AS, (held + 2**28, held + 2**28))
        process.begin(tmp_path, "tiny")
        with pytest.raises(ModelOutOfMemory, match=r"--batch.*--max-length.*--gradient-checkpointing"):
            to_the_end(process)


def test_a_full_disk_has_words_and_loses_no_checkpoint(models: Path, tmp_path: Path) -> None:
    program = f"""
from pathlib import Path
from smallenough.training.settings import TrainingSettings
from tests.training import tiny
settings = TrainingSettings(rank=256, batch=4, steps=8, max_length=500, precision="float32", checkpoint_every=2)
try:
    tiny.trained(Path({str(models / "llama")!r}), Path({str(tmp_path)!r}), settings)
except Exception as error:
    print(type(error).__name__, error)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])}
    done = on_small_disk(tmp_path, 1000, [sys.executable, "-c", program], environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("ModelError the training can't write what it has learned: "), done.stdout
    assert "free some space" in done.stdout


def test_a_folder_without_weights_is_refused(models: Path, tmp_path: Path) -> None:
    with TrainingProcess() as process, pytest.raises(ModelError, match="transformers can't load it"):
        process.prepare(tmp_path, tiny.animals(), (), QUICK)
