"""The base model with its adapter: loaded, computed with, and saved as peft saves it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

# Before torch: the same sums whatever the alignment, so that a training that goes on computes as one that never ended.
os.environ.setdefault("MKL_CBWR", "AUTO,STRICT")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import accelerate
import peft
import torch
import torch.nn.functional as functional
import transformers
from transformers import AttentionInterface

from smallenough.machine import usable_cores
from smallenough.models.engine import network as engine
from smallenough.models.engine.faults import Unsupported
from smallenough.models.engine.loading import configuration, load, skeleton
from smallenough.training.attention import PackedAttention
from smallenough.training.batches import Pack
from smallenough.training.settings import TrainingSettings
from smallenough.training.sizes import Shape

VERSIONS = (
    f"torch {torch.__version__}, transformers {transformers.__version__}, peft {peft.__version__},"
    f" accelerate {accelerate.__version__}"
)

_NAME = "smallenough_packed"


def device() -> str:
    """Where is trained: the first CUDA device, else the processor."""
    return engine.device()


def precision(place: str, settings: TrainingSettings) -> str:
    """What is computed in."""
    if settings.precision != "auto":
        return settings.precision
    found = engine.dtype(place)
    return "bfloat16" if found == "bfloat16" else "float32"  # float16 would need its loss scaled


def shape(folder: str) -> Shape:
    """Looks at a model's configuration.

    Raises:
        Unsupported: it can't be trained here; says why.
    """
    config = configuration(folder)
    model = skeleton(config)
    last = model.get_output_embeddings()
    linear = {
        name: (module.in_features, module.out_features)
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and module is not last
    }
    if not linear:
        raise Unsupported("it has no linear layers that could get an adapter; take a model of another family")
    text = config.get_text_config()
    return Shape(
        model.num_parameters(),
        linear,
        int(text.hidden_size),
        int(getattr(text, "intermediate_size", None) or 4 * text.hidden_size),
        int(text.num_hidden_layers),
        int(text.vocab_size),
        int(getattr(text, "max_position_embeddings", None) or 2**31),
    )


class Network:
    """A base model whose weights stay as they are, and an adapter that learns.

    Args:
        folder: the base model's.
        name: what it is called in the adapter's configuration.
        place: a torch device.
        kind: the name of a torch dtype, as `precision` tells it.
        targets: the ends of the names of layers that get an adapter.
        settings: rank and the like.

    Raises:
        Unsupported: the model can't be used; says why.
        RuntimeError: memory is too small.
    """

    def __init__(
        self, folder: str, name: str, place: str, kind: str, targets: Sequence[str], settings: TrainingSettings
    ) -> None:
        torch.set_num_threads(usable_cores())
        self.device = torch.device(place)
        self._attention = PackedAttention()
        AttentionInterface.register(_NAME, self._attention)
        self._accelerator = accelerate.Accelerator(
            cpu=place == "cpu", mixed_precision="bf16" if kind == "bfloat16" else "no"
        )
        torch.manual_seed(settings.seed % 2**63)
        base = load(folder, kind, _NAME, in_4bit=settings.load_in_4bit)
        if not settings.load_in_4bit:
            base.to(self.device)
        config = peft.LoraConfig(
            r=settings.rank,
            lora_alpha=settings.alpha,
            lora_dropout=settings.dropout,
            target_modules=list(targets),
            task_type="CAUSAL_LM",
        )
        self.model = peft.get_peft_model(base, config)
        self.model.peft_config["default"].base_model_name_or_path = name  # peft itself would write the folder
        for module in self.model.modules() if kind != "float32" else ():
            if hasattr(module, "cast_input_dtype_enabled"):  # autocast sees to it; peft would go to float32 and back
                module.cast_input_dtype_enabled = False
        if settings.gradient_checkpointing:
            enable = getattr(base, "activation_checkpointing_enable", None) or base.gradient_checkpointing_enable
            enable({"use_reentrant": False})  # the newer of its two names first
        self.weights = [weights for weights in self.model.parameters() if weights.requires_grad]
        """The adapter's."""
        self.model.train()

    def learn(self, pack: Pack, share: float) -> float:
        """Adds a pack's gradient, times `share`, to what is there; returns its loss, summed over its targets."""
        loss = self._loss(pack)
        self._accelerator.backward(loss * share)
        return float(loss.detach())

    def measure(self, pack: Pack) -> float:
        """The loss of a pack, summed over its targets; nothing is learned."""
        self.model.eval()
        with torch.inference_mode():
            loss = float(self._loss(pack))
        self.model.train()
        return loss

    def _loss(self, pack: Pack) -> Any:
        self._attention.begin(pack)
        with self._accelerator.autocast():
            output = self.model(
                input_ids=self._tensor([pack.tokens]),
                position_ids=self._tensor([pack.positions]),
                logits_to_keep=self._tensor(pack.places),
                use_cache=False,
            )
        return functional.cross_entropy(output.logits[0].float(), self._tensor(pack.targets), reduction="sum")

    def _tensor(self, values: Any) -> Any:
        return torch.tensor(values, device=self.device)

    def state(self) -> dict[str, Any]:
        """A copy of the adapter's weights, by name."""
        learned = ((name, weights) for name, weights in self.model.named_parameters() if weights.requires_grad)
        return {name: weights.detach().to("cpu", copy=True) for name, weights in learned}

    def restore(self, state: dict[str, Any]) -> None:
        """Sets the adapter's weights to what `state` told."""
        with torch.no_grad():
            for name, weights in self.model.named_parameters():
                if weights.requires_grad:
                    weights.copy_(state[name])

    def save(self, folder: Path) -> None:
        """Saves the adapter as peft does, without its card.

        Raises:
            OSError: the disk is full, or the folder can't be written.
        """
        with _disk_faults():
            self.model.save_pretrained(str(folder), save_embedding_layers=False)
        (folder / "README.md").unlink(missing_ok=True)


@contextlib.contextmanager
def _disk_faults() -> Iterator[None]:
    """Within, what safetensors raises where a file can't be written is an OSError."""
    from safetensors import SafetensorError

    try:
        yield
    except SafetensorError as error:
        raise OSError(str(error)) from error
