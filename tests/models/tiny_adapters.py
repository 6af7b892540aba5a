"""Makes random LoRA adapters, and what peft's own model, which merges nothing, answers with them.

`python -m tests.models.tiny_adapters FOLDER` writes two tiny models, one of which shares its embeddings with its last
layer, and adapters of each; `python -m tests.models.tiny_adapters FOLDER BASE` an adapter of a model that is there.
Beside them stands `answers.json`: by adapter, for each prompt, the text that the likeliest tokens come to.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tests.models.tiny_models import CONFIGURATIONS, NEW_TOKENS, PROMPTS, SIZE, tokenizer

BASES = ("plain", "tied")
KINDS: dict[str, dict[str, Any]] = {
    "attention": {"target_modules": ["q_proj", "v_proj"]},
    "linear": {"target_modules": "all-linear", "use_rslora": True},
    "dora": {"target_modules": ["o_proj", "down_proj"], "use_dora": True},
    "last": {"target_modules": ["q_proj", "lm_head"]},
    "table": {"target_modules": ["q_proj"], "modules_to_save": ["embed_tokens"]},
}
"""By what they change: some layers, all, their directions, the layer that may share the embeddings, the embeddings."""
QUESTIONS = ("Say hello.", "What is the capital of France?", "Complete: def is_even(n):")


def adapted(model: Any, **options: Any) -> Any:
    """peft's model of a base and a random adapter that changes something."""
    import torch
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(2)
    made = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", r=4, lora_alpha=8, **options))
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for name, weights in made.named_parameters():
            if "lora_B" in name:
                weights.copy_(0.05 * torch.randn(weights.shape, generator=generator))
            elif "modules_to_save" in name:
                weights.add_(0.05 * torch.randn(weights.shape, generator=generator))
    return made.eval()


def answer(model: Any, words: Any, text: str) -> str:
    """What the likeliest tokens after `text` come to."""
    import torch

    tokens = words(text, return_tensors="pt", add_special_tokens=False).input_ids
    with torch.inference_mode():
        made = model.generate(
            input_ids=tokens, attention_mask=torch.ones_like(tokens), max_new_tokens=NEW_TOKENS, do_sample=False
        )
    return str(words.decode(made[0, tokens.shape[1] :], skip_special_tokens=True))


def tiny(folder: Path) -> dict[str, list[str]]:
    """Both tiny models with all kinds of adapters."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    answers = {}
    for base in BASES:
        torch.manual_seed(1)
        tied = {"tie_word_embeddings": base == "tied"}
        config = AutoConfig.for_model("llama", **{**SIZE, **CONFIGURATIONS["llama"], **tied})
        AutoModelForCausalLM.from_config(config).save_pretrained(folder / base)
        words = tokenizer(folder / base)
        for kind, options in KINDS.items():
            model = AutoModelForCausalLM.from_pretrained(folder / base, attn_implementation="eager").eval()
            answers[base] = [answer(model, words, prompt) for prompt in PROMPTS]
            model = adapted(model, **options)
            model.save_pretrained(folder / f"{base}-{kind}", save_embedding_layers=False)
            answers[f"{base}-{kind}"] = [answer(model, words, prompt) for prompt in PROMPTS]
    return answers


def real(folder: Path, base: str) -> dict[str, list[str]]:
    """An adapter of all linear layers, and questions by the model's chat template."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    words = AutoTokenizer.from_pretrained(base)
    model = AutoModelForCausalLM.from_pretrained(base, attn_implementation="eager", dtype=torch.float32)
    made = adapted(model, **KINDS["linear"])
    made.save_pretrained(folder / "adapter")
    turns = [[{"role": "user", "content": question}] for question in QUESTIONS]
    texts = [words.apply_chat_template(turn, tokenize=False, add_generation_prompt=True) for turn in turns]
    return {"adapter": [answer(made, words, text) for text in texts]}


def main() -> None:
    folder = Path(sys.argv[1])
    answers = real(folder, sys.argv[2]) if sys.argv[2:] else tiny(folder)
    (folder / "answers.json").write_text(json.dumps(answers), "utf-8")


if __name__ == "__main__":
    main()
