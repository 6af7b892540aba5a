"""Tokens a second of the embedded engine with 1, 4 and 16 requests in flight, and whether it gives its memory back.

    python -m benchmarks.engine [--rounds 3] [--tokens 64] [--ollama URL] [--json]

SmolLM2-135M-Instruct answers the prompts of coding tasks, greedily. Beside the engine, in the same run: `generate` of
transformers on the same files, one prompt after another, and, where a URL is given, the same model on Ollama (whose
file holds 4 bits a weight, and the engine's 32), which is asked at most 16 of them. Loading is told apart. The answers
of all batch sizes are compared with each other: where one differs, nothing is reported. It is started by `python -m`,
from the repository's root; the model has to be there (`smallenough models --pull huggingface:smollm2:135m`).

Targets: with 16 requests in flight at least 6 times the tokens a second of one; after unloading, at most 5% of what the
engine occupied is still occupied by this process and its children. CPU seconds are told too: a busy machine does not
change them as much as it does the time.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import psutil

from benchmarks import common
from smallenough.models import weights
from smallenough.models.huggingface import HuggingFaceClient
from smallenough.models.ollama import OllamaClient
from smallenough.protocols import ModelClient
from smallenough.records import Message, Request, Sampling
from smallenough.resources.processes import tree_pss

MODEL = common.MODEL
IN_FLIGHT = {1: 6, 4: 16, 16: 48}
"""How many requests are asked, by how many at once."""

TARGET = 6.0
TARGET_KEPT = 0.05


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=64, help="most tokens of an answer")
    parser.add_argument("--ollama", metavar="URL", help="measure this server too")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        prompts = common.asked(common.tasks(max(IN_FLIGHT.values())))
        print(json.dumps(SIDES[options.side](prompts, options.tokens, options.ollama)))
        return 0
    result = measure(options.rounds, options.tokens, options.ollama)
    print(json.dumps(result, indent=2)) if options.json else show(result)
    return 0


def measure(rounds: int, tokens: int, ollama: str | None) -> dict[str, Any]:
    more = ("--ollama", ollama) if ollama else ()

    def side(name: str, _round: int) -> dict[str, Any]:
        return common.child("engine", "--side", name, "--tokens", tokens, *more)

    names = [name for name in SIDES if ollama or name != "Ollama"]
    told = common.alternate(rounds, [(name, partial(side, name)) for name in names])
    answers = [one.pop("answers") for one in told["engine"]]
    if any(found != answers[0] for found in answers):
        raise SystemExit("the engine's answers are not the same in every round: not measured")
    plain = told["transformers"][0].pop("answers")
    for one in told["transformers"][1:]:
        one.pop("answers")
    rates = [{count: one[f"{count} in flight"]["rate"] for count in IN_FLIGHT} for one in told["engine"]]
    ratios = [rate[16] / rate[1] for rate in rates]
    kept = [one["kept"] for one in told["engine"]]
    return {
        "tokens": tokens,
        "sides": told,
        "ratios": ratios,
        "as_transformers": sum(answers[0][number] == text for number, text in enumerate(plain)) / len(plain),
        "target": TARGET,
        "met": common.median(ratios) >= TARGET,
        "kept": kept,
        "target_kept": TARGET_KEPT,
        "met_kept": common.median(kept) <= TARGET_KEPT,
    }


def show(result: dict[str, Any]) -> None:
    rows = []
    for name, runs in result["sides"].items():
        for case in [case for case in runs[0] if case.endswith("in flight")]:
            found = [one[case] for one in runs]
            cpu = [1000 * one["cpu_seconds"] / one["tokens"] for one in found if one["cpu_seconds"] is not None]
            rows.append(
                [
                    f"{name}, {case}",
                    common.spread([one["rate"] for one in found], 1),
                    common.spread(cpu, 1) if cpu else "",
                ]
            )
    memory = result["sides"]["engine"]
    starts, loads = ([second for one in memory for second in one[f"{what}_seconds"]] for what in ("start", "load"))
    held = [(one["bytes_loaded"] - one["bytes_before"]) / 1e6 for one in memory]
    common.show(
        f"{MODEL}, greedy, answers of up to {result['tokens']} tokens",
        ["", "tokens a second, median (least to most)", "CPU ms a token"],
        rows,
        [
            f"16 in flight / one: {common.spread(result['ratios'], 1)}; at least {TARGET}: {common.met(result['met'])}",
            f"the engine's answers are the same in every batch; {result['as_transformers']:.0%} are transformers' own",
            f"its process starts in {common.spread(starts, 1)} s, and loads the model in {common.spread(loads, 1)} s",
            f"the engine occupies {common.spread(held, 0)} MB; kept after unloading:"
            f" {common.spread([100 * share for share in result['kept']], 1)}%;"
            f" at most {TARGET_KEPT:.0%}: {common.met(result['met_kept'])}",
        ],
    )


# -------------------------------------------------------------------------------------------------------- the sides


def engine(prompts: list[str], tokens: int, _ollama: str | None) -> dict[str, Any]:
    """The embedded engine, a new one for each number in flight, which knows no prompt of the others."""
    before = _occupied()
    told: dict[str, Any] = {}
    answers: dict[int, str] = {}
    starts, loads = [], []
    for count in IN_FLIGHT:
        begun = time.perf_counter()
        client = HuggingFaceClient()
        (pid,) = client.processes() or ()
        start = time.perf_counter() - begun
        load = client.generate(_request("Say hello.", 2)).load_seconds
        case, texts = _timed(client, prompts, tokens, count, psutil.Process(pid))
        for number, text in enumerate(texts):
            if answers.setdefault(number, text) != text:
                raise SystemExit(f"prompt {number} has another answer with {count} requests in flight: not measured")
        told[f"{count} in flight"] = case
        starts.append(start)
        loads.append(load)
        loaded = _occupied()
        client.unload(MODEL)
        after = _occupied()
        client.close()
    return {
        **told,
        "start_seconds": starts,
        "load_seconds": loads,
        "bytes_before": before,
        "bytes_loaded": loaded,
        "bytes_after": after,
        "kept": max(0, after - before) / (loaded - before),
        "answers": [answers[number] for number in sorted(answers)],
    }


def transformers(prompts: list[str], tokens: int, _ollama: str | None) -> dict[str, Any]:
    """What one would write without an engine."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = weights.find(MODEL).folder
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)

    def answer(prompt: str, most: int) -> tuple[str, int]:
        turns = [{"role": "user", "content": prompt}]
        text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        given = tokenizer(text, return_tensors="pt", add_special_tokens=False)
        made = model.generate(**given, max_new_tokens=most, do_sample=False)[0, given.input_ids.shape[1] :]
        return tokenizer.decode(made, skip_special_tokens=True), len(made)

    answer(prompts[0], 2)
    started, spent = time.perf_counter(), time.process_time()
    found = [answer(prompt, tokens) for prompt in prompts[: IN_FLIGHT[1]]]
    seconds, spent = time.perf_counter() - started, time.process_time() - spent
    count = sum(length for _, length in found)
    case = {"tokens": count, "seconds": seconds, "rate": count / seconds, "cpu_seconds": spent}
    return {"1 in flight": case, "answers": [text for text, _ in found]}


def ollama(prompts: list[str], tokens: int, url: str | None) -> dict[str, Any]:
    """The same model on an Ollama server."""
    client = OllamaClient(url)
    client.generate(_request(prompts[0], 2))
    (server,) = client.processes() or (None,)
    runners = psutil.Process(server).children() if server else []
    process = runners[0] if len(runners) == 1 else None
    told = {f"{count} in flight": _timed(client, prompts[:16], tokens, count, process)[0] for count in (1, 16)}
    client.close()
    return told


def _timed(
    client: ModelClient, prompts: list[str], tokens: int, count: int, process: psutil.Process | None
) -> tuple[dict[str, Any], list[str]]:
    requests = [_request(prompt, tokens) for prompt in prompts[: IN_FLIGHT[count]]]
    used = _cpu(process)
    started = time.perf_counter()
    with ThreadPoolExecutor(count) as pool:
        found = list(pool.map(client.generate, requests))
    seconds = time.perf_counter() - started
    made = sum(one.tokens_out or 0 for one in found)
    spent = None if used is None else (_cpu(process) or 0.0) - used
    return {"tokens": made, "seconds": seconds, "rate": made / seconds, "cpu_seconds": spent}, [
        one.text for one in found
    ]


def _request(prompt: str, tokens: int) -> Request:
    return Request(MODEL, (Message("user", prompt),), Sampling(temperature=0.0, max_tokens=tokens, seed=0), 600.0)


def _cpu(process: psutil.Process | None) -> float | None:
    if process is None:
        return None
    times = process.cpu_times()
    return float(times.user + times.system)


def _occupied() -> int:
    """Bytes of this process and its children, those that they share counted in parts."""
    this = psutil.Process()
    pids = [this.pid, *(child.pid for child in this.children(recursive=True))]
    return tree_pss(pids) or sum(psutil.Process(pid).memory_info().rss for pid in pids)


SIDES: dict[str, Callable[[list[str], int, str | None], dict[str, Any]]] = {
    "engine": engine,
    "transformers": transformers,
    "Ollama": ollama,
}


if __name__ == "__main__":
    sys.exit(main())
