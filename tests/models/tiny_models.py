"""Makes tiny random models of several architectures, and what transformers itself answers with them.

`python -m tests.models.tiny_models FOLDER [KIND …]` writes one folder a model (of one, a GGUF file too), and
`answers.json`: by model, for each prompt, the text that the likeliest tokens come to.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

PROMPTS = ("a", "def f(n):", "the quick brown fox jumps over the lazy dog, " * 3)
NEW_TOKENS = 24
CONTEXT = 512

SIZE = {
    "vocab_size": 260,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": CONTEXT,
    "initializer_range": 0.4,
    "tie_word_embeddings": False,
    "eos_token_id": 257,
    "bos_token_id": 256,
    "pad_token_id": 258,
}
CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "llama": {},
    "qwen2": {},
    "phi3": {},
    "mistral": {"sliding_window": 16},
    "gemma2": {"sliding_window": 16, "query_pre_attn_scalar": 8, "attn_logit_softcapping": 5.0},
    "gemma3_text": {"sliding_window": 16, "query_pre_attn_scalar": 8},
    "mixtral": {"num_local_experts": 4, "num_experts_per_tok": 2},
}
"""By model type: several heads a key, biases, fused projections, windows, capped weights, experts."""


GGUF = "qwen2"
"""Of this one there is a GGUF file too."""


def tokenizer(folder: Path) -> Any:
    """Every byte is a token; three more mark the beginning, the end, and what is empty."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    marks = ["<begin>", "<end>", "<pad>"]
    kernel = Tokenizer(models.BPE(vocab={name: place for place, name in enumerate([*letters, *marks])}, merges=[]))
    kernel.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    kernel.decoder = decoders.ByteLevel()
    made = PreTrainedTokenizerFast(tokenizer_object=kernel, bos_token="<begin>", eos_token="<end>", pad_token="<pad>")
    made.save_pretrained(folder)
    return made


def write_gguf(model: Any, words: Any, path: Path) -> None:
    """The same model as one file, as llama.cpp's tools write it, with every weight in 32 bits."""
    import gguf
    import numpy as np

    config, kind = model.config, gguf.MODEL_ARCH.QWEN2
    out = gguf.GGUFWriter(path, gguf.MODEL_ARCH_NAMES[kind])
    out.add_block_count(config.num_hidden_layers)
    out.add_context_length(config.max_position_embeddings)
    out.add_embedding_length(config.hidden_size)
    out.add_feed_forward_length(config.intermediate_size)
    out.add_head_count(config.num_attention_heads)
    out.add_head_count_kv(config.num_key_value_heads)
    out.add_layer_norm_rms_eps(config.rms_norm_eps)
    out.add_rope_freq_base(config.rope_parameters["rope_theta"])
    out.add_file_type(gguf.LlamaFileType.ALL_F32)
    tokens = [*sorted(words.get_vocab(), key=words.get_vocab().__getitem__), "ZZ"]
    out.add_tokenizer_model("gpt2")
    out.add_tokenizer_pre("qwen2")
    out.add_token_list(tokens)
    out.add_token_types([gguf.TokenType.CONTROL if len(token) > 1 else gguf.TokenType.NORMAL for token in tokens])
    out.add_token_merges(["Z Z"])  # there has to be one
    out.add_eos_token_id(config.eos_token_id)
    names = gguf.get_tensor_name_map(kind, config.num_hidden_layers)
    for name, weights in model.state_dict().items():
        called = names.get_name(name, try_suffixes=(".weight", ".bias"))
        assert called, name
        out.add_tensor(called, weights.numpy().astype(np.float32))
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


def main() -> None:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    answers: dict[str, list[str]] = {}
    for kind in sys.argv[2:] or CONFIGURATIONS:
        folder = Path(sys.argv[1]) / kind
        torch.manual_seed(1)
        config = AutoConfig.for_model(kind, **{**SIZE, **CONFIGURATIONS[kind]})
        model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval()
        model.save_pretrained(folder)
        words = tokenizer(folder)
        if kind == GGUF:
            write_gguf(model, words, folder.with_suffix(".gguf"))
        answers[kind] = []
        for prompt in PROMPTS:
            tokens = words(prompt, return_tensors="pt").input_ids
            with torch.inference_mode():
                made = model.generate(
                    tokens, attention_mask=torch.ones_like(tokens), max_new_tokens=NEW_TOKENS, do_sample=False
                )
            answers[kind].append(words.decode(made[0, tokens.shape[1] :], skip_special_tokens=True))
    (Path(sys.argv[1]) / "answers.json").write_text(json.dumps(answers), "utf-8")


if __name__ == "__main__":
    main()
