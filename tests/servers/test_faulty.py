from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import ollama

FAULTY = Path(__file__).with_name("faulty.py")


def test_it_runs_as_a_program_and_answers_by_what_stands_in_the_prompt(tmp_path: Path) -> None:
    answers = tmp_path / "answers.jsonl"
    lines = [{"match": f"task {number};", "answer": f"answer {number}"} for number in range(100)]
    answers.write_text("\n".join(map(json.dumps, lines)), "utf-8")
    command = [sys.executable, str(FAULTY), "--answers", str(answers), "--model", "m:1", "--pieces", "3"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            client = ollama.Client(process.stdout.readline().strip(), trust_env=False)

            def ask(number: int) -> str:
                messages = [{"role": "user", "content": f"Solve task {number}; now"}]
                if number % 2:
                    return client.chat("m:1", messages).message.content or ""
                return "".join(part.message.content or "" for part in client.chat("m:1", messages, stream=True))

            with ThreadPoolExecutor(16) as threads:
                assert list(threads.map(ask, range(100))) == [line["answer"] for line in lines]
            assert client.chat("m:1", [{"role": "user", "content": "hello"}]).message.content == "I do not know."
            client._client.close()
        finally:
            process.terminate()
