"""A model's forward pass over many sequences at once, each of which comes out as if it were alone.

A step lays the new tokens of all its sequences side by side as the rows of one matrix, so that the weights, whose
reading takes most of the time, are read once for all of them. Only in attention do the sequences differ in length.

Libraries may compute a row by another code when there are more of them, whose sums are rounded differently: 1e-6 is
enough to choose another token where two are nearly as likely. On a processor, oneDNN's product with weights that it has
laid out in blocks comes out the same for every number of rows (MKL's does not below 4, and takes longer). So as not to
trust in that, a step has one of a few heights (empty rows fill it up), and when a model is loaded, all of them are
tried, with sequences of different lengths: those are used whose rows agree to the last bit. Parts of prompts are tried
in the same way, and read one by one where they don't agree.

Attention comes in through transformers' `AttentionInterface`, which every model written for it supports; others are
refused.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# Both have to be said before torch is imported. Of Intel's library: one path of code whatever the alignment. Of OpenMP:
# threads sleep where they wait for each other; where they spin, a step takes ten times as long as soon as other
# programs want the processors too (measured), and the time counts as the model's.
os.environ.setdefault("MKL_CBWR", "AUTO,STRICT")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
import transformers
from safetensors import safe_open
from transformers import AttentionInterface, GenerationConfig

from smallenough.machine import usable_cores
from smallenough.models.engine.attention import Attention, Branching, Reading, Stepping, spans_agree
from smallenough.models.engine.faults import Unsupported
from smallenough.models.engine.loading import load
from smallenough.models.engine.memory import Memory, Store

_SHAPES = (1, 2, 4, 8, 16, 32)
"""The heights that a step may have. Between two of them, rows are left empty."""

_LENGTHS = (1, 5, 18, 43)
"""Of the parts of prompts that are tried together."""

VERSIONS = f"torch {torch.__version__}, transformers {transformers.__version__}"

_NAME = "smallenough"


def device() -> str:
    """Where models are computed: the first CUDA device, else the processor."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def dtype(place: str) -> str:
    """What models are held in: bfloat16 where `place` computes with it, else float16 on a GPU, float32 on a CPU."""
    if place == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float16"
    try:
        known = Path("/proc/cpuinfo").read_text("utf-8", "replace")
    except OSError:
        return "float32"
    return "bfloat16" if computes_bfloat16(known) else "float32"


def computes_bfloat16(cpuinfo: str) -> bool:
    """Whether a processor has instructions for it, by what Linux tells in `/proc/cpuinfo`, on x86-64 or ARM."""
    lines = [line for line in cpuinfo.splitlines() if line.startswith(("flags", "Features"))]
    flags = set(lines[0].split()) if lines else set()
    return bool(flags & {"avx512_bf16", "amx_bf16", "bf16"})


class Network:
    """A loaded model.

    Args:
        folder: where it lies, as transformers saves models.
        place: a torch device.
        kind: the name of a torch dtype.
        adapter: the folder of a LoRA adapter that is merged into it, as peft saves it; None: nothing is.
        in_4bit: hold its weights in 4 bits, on a CUDA device.

    Raises:
        Unsupported: it can't be used; says why.
        ImportError: a package for adapters is not installed.
        RuntimeError: memory is too small.
    """

    def __init__(
        self, folder: str, place: str, kind: str, adapter: str | None = None, *, in_4bit: bool = False
    ) -> None:
        torch.set_num_threads(usable_cores())
        self._device = torch.device(place)
        self._attention = Attention()
        AttentionInterface.register(_NAME, self._attention)
        self._model = load(folder, kind, _NAME, in_4bit=in_4bit).eval()
        if not in_4bit:  # else it is there already
            self._model.to(self._device)
        files: Path | None = Path(folder)
        if adapter is not None:
            from smallenough.models.engine.merging import merge

            self._model, changed = merge(self._model, Path(adapter))
            files = None if changed else files
        self.bytes = sum(weights.numel() * weights.element_size() for weights in self._model.parameters())
        """Of its weights."""
        if place == "cpu":
            _lay_out(self._model, files)
        config = self._model.config.get_text_config()
        self._vocabulary = int(config.vocab_size)
        self.context: int = int(getattr(config, "max_position_embeddings", None) or 2**31)
        """The longest sequence, in tokens."""
        defaults = _generation(folder)
        ends = defaults.eos_token_id if defaults.eos_token_id is not None else config.eos_token_id
        self.ends = set(ends) if isinstance(ends, list) else set() if ends is None else {int(ends)}
        """The tokens that end an answer."""
        self.temperature = float(defaults.temperature or 1.0) if defaults.do_sample else 0.0
        """The model's own default; 0 where it says nothing, as in transformers."""
        self.top_p = float(defaults.top_p or 1.0) if defaults.do_sample else 1.0
        """The model's own default."""
        self.shapes = self._agreeing()
        """The heights of steps that are used, in ascending order; the last is the most sequences in a batch."""
        self.together = self._agree_together()
        """Whether parts of prompts come out the same to the last bit however many are read in one pass."""
        give_back()

    def read(self, parts: Sequence[tuple[Memory, Sequence[int]]]) -> Any:
        """Takes in more tokens of some sequences; returns the logits after each part, (parts, vocabulary).

        Several parts may be of one sequence. Unless `together` is true, a part comes out the same for sure only where
        it is alone.
        """
        reading = Reading([(memory, len(tokens)) for memory, tokens in parts])
        self._attention.now = reading
        ends = torch.tensor([len(tokens) for _, tokens in parts], device=self._device).cumsum(0) - 1
        logits = self._pass([token for _, tokens in parts for token in tokens], reading.positions, keep=ends)
        for memory, tokens in parts:
            memory.length += len(tokens)
        return logits

    def step(self, store: Store, tokens: Sequence[int]) -> Any:
        """Takes in one token of each sequence; returns logits, (sequences, vocabulary).

        Both are in the store's order as it was before: a sequence that has outgrown its place stands elsewhere then.
        """
        return self._step(store, tokens, next(shape for shape in self.shapes if shape >= len(tokens)))

    def branches(self, memory: Memory, tokens: Sequence[int], parents: Sequence[int]) -> Any:
        """Logits after each of some tokens with which a sequence may go on, (tokens, vocabulary).

        Args:
            memory: the sequence, with room for them all; it remembers none of them.
            tokens: each after the one that it follows.
            parents: of each, the place of the one that it follows; -1: it follows the sequence.
        """
        self._attention.now = branching = Branching(memory, parents)
        return self._pass(tokens, branching.positions, keep=0)

    def _step(self, store: Store, tokens: Sequence[int], height: int) -> Any:
        memories, empty = list(store), [0] * (height - len(tokens))
        self._attention.now = Stepping(store, self._device)
        logits = self._pass([*tokens, *empty], [*(memory.length for memory in memories), *empty], keep=0)
        for memory in memories:
            memory.length += 1
        store.make_room()
        return logits[: len(tokens)]

    def _pass(self, tokens: Sequence[int], positions: Sequence[int], keep: Any) -> Any:
        with torch.inference_mode():
            output = self._model(
                input_ids=torch.tensor([list(tokens)], device=self._device),
                position_ids=torch.tensor([list(positions)], device=self._device),
                use_cache=False,
                logits_to_keep=keep,
            )
        return output.logits[0]

    def _agreeing(self) -> tuple[int, ...]:
        """The largest set of heights whose rows come out the same to the last bit; where no two agree, one row.

        Raises:
            Unsupported: not all of its layers remember what they see where this engine keeps it.
        """
        most, extra = _SHAPES[-1], 8
        tokens = torch.randint(
            self._vocabulary, (2 * most + extra,), generator=torch.Generator().manual_seed(0)
        ).tolist()
        whole = Memory(most + extra)
        self.read([(whole, tokens[most:])])
        layers = self._model.config.get_text_config().num_hidden_layers
        if (attending := len(whole.shelf.layers)) != layers:
            raise Unsupported(f"{attending} of its {layers} layers attend; take a model of which all do")
        if not spans_agree(whole):
            return _SHAPES[:1]
        sets: list[tuple[Any, list[int]]] = []
        for shape in reversed(_SHAPES):
            # The last ones and shortest ones, so that each stands elsewhere than in the largest step, by shorter ones.
            store = Store()
            for number in range(most - shape, most):
                length = most + extra - number
                store.add(Memory.of(whole.snapshot(length), length))
            logits = self._step(store, tokens[most - shape : most], shape)
            for reference, shapes in sets:
                if torch.equal(logits, reference[-shape:]):
                    shapes.insert(0, shape)
                    break
            else:
                sets.append((logits, [shape]))
        best = max((tuple(shapes) for _, shapes in sets), key=len)
        return best if len(best) > 1 else _SHAPES[:1]

    def _agree_together(self) -> bool:
        """Whether parts of several lengths come out the same alone and in one pass."""
        if len(self.shapes) == 1:
            return False
        generator = torch.Generator().manual_seed(1)
        parts = [torch.randint(self._vocabulary, (length,), generator=generator).tolist() for length in _LENGTHS]
        alone = [self.read([(Memory(len(part)), part)])[0] for part in parts]
        packed = self.read([(Memory(len(part)), part) for part in reversed(parts)])
        return bool(torch.equal(packed.flip(0), torch.stack(alone)))


def _lay_out(model: Any, files: Path | None) -> None:
    """Has oneDNN lay out the weights of linear layers as its products want them, where it can.

    Args:
        model: the model.
        files: the folder of its files; None: they have another table of embeddings.
    """
    library = torch.ops.mkldnn
    if not torch.backends.mkldnn.is_available() or not hasattr(library, "_linear_pointwise"):
        return
    if model.dtype == torch.bfloat16 and not library._is_mkldnn_bf16_supported():
        return
    shared = model.get_input_embeddings().weight
    for module in model.modules():
        if type(module) is torch.nn.Linear and module.weight.dtype in (torch.float32, torch.bfloat16):
            packed = library._reorder_linear_weight(module.weight.detach(), None)
            module.forward = functools.partial(_product, packed, module.bias)
            if module.weight is not shared:
                module.weight = torch.nn.Parameter(torch.empty(0, dtype=module.weight.dtype), requires_grad=False)
    names = {name for name, parameter in model.named_parameters(remove_duplicate=False) if parameter is shared}
    for parameter in model.parameters():  # what is left is a view of a file that is in memory as a whole
        unread = _unread(files, names) if files and parameter is shared else None
        parameter.data = parameter.data.clone() if unread is None or unread.dtype != parameter.dtype else unread


def _unread(folder: Path, names: set[str]) -> Any:
    """A view of weights in a model's files, of which only what is looked at comes into memory; None: not found.

    Of a table of embeddings, that is the few rows of the tokens in use.
    """
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, "pt") as file:
            for name in names & set(file.keys()):
                return file.get_tensor(name)
    return None


def give_back() -> None:
    """Returns to the system what the C library has kept of freed memory for later; where it can't, it is kept."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def _product(packed: Any, bias: Any, rows: Any) -> Any:
    return torch.ops.mkldnn._linear_pointwise(rows, packed, bias, "none", [], "")


def _generation(folder: str) -> Any:
    try:
        return GenerationConfig.from_pretrained(folder, local_files_only=True)
    except OSError:  # not every model has such a file
        return GenerationConfig()
