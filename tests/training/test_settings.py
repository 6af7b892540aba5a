"""What a training file and flags may say, and the words for what they may not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallenough.errors import InputError
from smallenough.records import Message
from smallenough.sessions.training_jobs import settings_of
from smallenough.training.data import Row
from smallenough.training.faults import BadInput
from smallenough.training.messages import LINES, Prepare, Stepped
from smallenough.training.settings import TrainingSettings
from smallenough.training.sizes import Shape, disk_bytes

SHAPE = Shape(
    1000, {"layers.0.q_proj": (8, 8), "layers.0.down_proj": (32, 8), "layers.1.q_proj": (8, 8)}, 8, 32, 2, 99, 64
)


def test_a_flag_goes_before_the_file(tmp_path: Path) -> None:
    file = tmp_path / "training.yaml"
    file.write_text("models: [a, b]\nrank: 4\nlearning_rate: 0.001\n")
    form = settings_of(file, {"rank": 8})
    assert (form.models, form.rank, form.learning_rate, form.batch) == (("a", "b"), 8, 0.001, 16)
    assert form.settings == TrainingSettings(rank=8, learning_rate=0.001)


def test_all_faults_are_told_with_their_places(tmp_path: Path) -> None:
    file = tmp_path / "training.yaml"
    file.write_text("rank: 0\nlerning_rate: 0.1\nbatch: 4\n")
    with pytest.raises(InputError) as raised:
        settings_of(file, {"batch": 0, "dropout": 1.0})
    told = str(raised.value).splitlines()
    assert f"{file}, line 1: rank: should be greater than 0, and is 0" in told
    assert f"{file}, line 2: lerning_rate: unknown key; did you mean 'learning_rate'?" in told
    assert "--batch: should be greater than 0, and is 0" in told
    assert "--dropout: should be less than 1, and is 1.0" in told
    assert len(told) == 4


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"patience": 2}, "patience needs a validation or a validation_share"),
        ({"validation": "a", "validation_share": 0.1}, "validation and validation_share say the same thing"),
        ({"precision": "float16"}, "--precision: should be 'auto', 'float32' or 'bfloat16', and is 'float16'"),
        ({"models": ()}, "at least 1 item"),
    ],
)
def test_what_can_not_be_meant_has_words(said: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError) as raised:
        settings_of(None, said)
    assert words in str(raised.value)


def test_unknown_layers_are_refused_with_the_known_ones() -> None:
    with pytest.raises(BadInput, match=r"no linear layer 'q_prj'; did you mean 'q_proj'\? It has: down_proj, q_proj"):
        SHAPE.targets(["q_prj"])
    assert SHAPE.targets(()) == ["down_proj", "q_proj"]
    assert SHAPE.trainable(["q_proj"], 2) == 2 * (16 + 16)
    assert SHAPE.trainable(SHAPE.targets(()), 2) == 2 * (16 + 40 + 16)


def test_a_disk_has_room_for_the_adapter_and_two_checkpoints() -> None:
    assert disk_bytes(1_000_000, validated=False) > 4_000_000 * 7
    assert disk_bytes(1_000_000, validated=True) > 4_000_000 * 9


@given(st.text(), st.integers(1, 10**6), st.floats(0, 100))
def test_messages_come_back_as_they_were(text: str, step: int, loss: float) -> None:
    clean = text.encode("utf-8", "replace").decode()
    asked = Prepare("folder", (Row(clean, (Message("user", clean),), clean),), (), TrainingSettings(seed=step))
    report = Stepped(step, loss, 1e-4, 1.0, 10, 0.5)
    for message in (asked, report):
        line = LINES.encode(message)
        assert line.endswith(b"\n")
        assert line.count(b"\n") == 1
        assert LINES.decode(line) == message
