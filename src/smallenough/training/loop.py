"""The steps of a training, its validations and its checkpoints."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from smallenough.training import checkpoint
from smallenough.training.batches import Tokenized, passes, rate, step_rows
from smallenough.training.checkpoint import Progress
from smallenough.training.faults import BadLoss
from smallenough.training.folder import CHECKPOINT
from smallenough.training.messages import End, Ended, Report, Saved, Stepped, Validated
from smallenough.training.network import Network
from smallenough.training.settings import TrainingSettings

_CHECKPOINT_SECONDS = 60.0

Send = Callable[[Report], None]


@dataclass(frozen=True)
class Data:
    """What is learned, and what is validated on."""

    rows: Sequence[Tokenized]
    validation: Sequence[Tokenized]


class Loop:
    """Trains a network, from where its folder's checkpoint stands.

    Args:
        network: the base model with its adapter.
        data: at least one row.
        settings: how.
        steps: how many in all.
        folder: where checkpoints and the adapter go.
        send: is told of every step.

    Raises:
        BadInput: the checkpoint is damaged.
    """

    def __init__(
        self, network: Network, data: Data, settings: TrainingSettings, steps: int, folder: Path, send: Send
    ) -> None:
        self._network, self._data, self._settings = network, data, settings
        self._steps, self._folder, self._send = steps, folder, send
        self._size = settings.batch * settings.accumulation
        self._share = settings.dropout == 0.0  # what rows share is computed once, where each would draw its own dropout
        self._optimizer = torch.optim.AdamW(
            network.weights, lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
        )
        self._at = Progress()
        found = checkpoint.load(folder)
        if found:
            self._at, adapter, optimizer = found
            network.restore(adapter)
            self._optimizer.load_state_dict(optimizer)
        self._saved = time.monotonic()

    @property
    def step(self) -> int:
        """Steps that were made."""
        return self._at.step

    def run(self, stopping: Callable[[], bool]) -> None:
        """Trains to the end, or until it is told to stop; then the last report is sent.

        Args:
            stopping: whether to stop after the step that is computed now.

        Raises:
            BadLoss: the loss is no number.
            OSError: something can't be written.
        """
        begun = self._at.step
        if begun == 0:
            self._validate()
        while self._at.step < self._steps:
            if stopping():
                if self._at.step > begun:
                    self._checkpoint()
                self._send(Ended(self._at.step, "stopped", None))
                return
            self._step()
            if self._due():
                self._validate()
                if self._settings.patience is not None and self._at.worse >= self._settings.patience:
                    self._end("patience")
                    return
            self._checkpoint_if_due()
        self._end("done")

    def _step(self) -> None:
        settings, begun, step = self._settings, time.perf_counter(), self._at.step
        rows = [self._data.rows[one] for one in step_rows(len(self._data.rows), self._size, settings.seed, step)]
        torch.manual_seed(
            (settings.seed * 1_000_003 + step) % 2**63
        )  # of dropout, so that no state of it needs keeping
        targets, loss = sum(len(row.answer) for row in rows), 0.0
        for part in passes(rows, settings.batch, share=self._share):
            loss += self._network.learn(part, 1 / targets) / targets
        norm = float(torch.nn.utils.clip_grad_norm_(self._network.weights, settings.clip))
        if not math.isfinite(loss) or not math.isfinite(norm):
            raise BadLoss(f"at step {step + 1} of {self._steps} the {'gradient' if math.isfinite(loss) else 'loss'}")
        learning_rate = settings.learning_rate * rate(step, self._steps, settings.warmup, settings.schedule)
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        self._at.step += 1
        seconds = time.perf_counter() - begun
        self._send(Stepped(self._at.step, loss, learning_rate, norm, sum(map(len, rows)), seconds))

    def _due(self) -> bool:
        """Whether to validate after this step."""
        step, epoch = self._at.step, math.ceil(len(self._data.rows) / self._size)
        return step == self._steps or step % (self._settings.validate_every or epoch) == 0

    def _validate(self) -> None:
        rows, begun = self._data.validation, time.perf_counter()
        if not rows:
            return
        targets = sum(len(row.answer) for row in rows)
        loss = sum(self._network.measure(part) for part in passes(rows, self._settings.batch)) / targets
        if not math.isfinite(loss):
            raise BadLoss(f"after step {self._at.step} of {self._steps} the loss of validation")
        best = self._at.step > 0 and (self._at.best is None or loss < self._at.best)
        if best:
            self._at.best, self._at.best_step, self._at.worse = loss, self._at.step, 0
            self._at.best_state = self._network.state()
        elif self._at.step:
            self._at.worse += 1
        self._send(Validated(self._at.step, loss, best, time.perf_counter() - begun))

    def _checkpoint_if_due(self) -> None:
        every, waited = self._settings.checkpoint_every, time.monotonic() - self._saved
        due = waited > _CHECKPOINT_SECONDS if every is None else self._at.step % every == 0
        if due and self._at.step < self._steps:
            self._checkpoint()

    def _checkpoint(self) -> None:
        """Saves one, unless the weights are no numbers any more: the last good one is kept."""
        if not all(bool(torch.isfinite(weights).all()) for weights in self._network.weights):
            raise BadLoss(f"after step {self._at.step} of {self._steps} a weight")
        checkpoint.save(self._folder, self._at, self._network.state(), self._optimizer.state_dict())
        self._saved = time.monotonic()
        self._send(Saved(self._at.step))

    def _end(self, why: End) -> None:
        """Saves the adapter: the best on what was validated on, else the last."""
        kept = self._at.step
        if self._at.best_state is not None and self._at.best_step is not None:
            kept = self._at.best_step
            self._network.restore(self._at.best_state)
        self._network.save(self._folder)
        self._send(Ended(self._at.step, why, kept))
        (self._folder / CHECKPOINT).unlink(missing_ok=True)
