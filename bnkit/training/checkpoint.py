"""Everything that a training needs to go on after its process was killed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from bnkit.storage import load_tensors, readable, save_tensors
from bnkit.training.early_stopping import EarlyStopping
from bnkit.training.history import History
from bnkit.training.place import Processes
from bnkit.training.randomness import generators, random_state, set_random_state

__all__ = ["CheckpointError", "TrainingState"]

FORMAT = "bnkit checkpoint 1"
PARTS = {
    "settings": dict,
    "model": dict,
    "optimizer": dict,
    "history": dict,
    "early_stopping": dict | None,
    "generators": list,
    "random": list,
}


class CheckpointError(ValueError):
    """A file from which this training cannot go on."""


@dataclass
class TrainingState:
    """What changes while a model is trained, in one process or several."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    history: History
    early_stopping: EarlyStopping | None = None
    loaders: Sequence[object] = ()  # whose generators decide the order of the samples
    processes: Processes = field(default_factory=Processes)
    settings: Mapping[str, Any] = field(default_factory=dict)  # that a resumed run must share
    checkpoint: str | os.PathLike | None = None

    @contextmanager
    def begun(self, resume: str | os.PathLike | None) -> Iterator[None]:
        """Start all processes from one state, `resume`'s if given, and end them together."""
        if resume is not None:
            self.load(resume)
        self.processes.align(self.model)
        with self.processes.interruptible():
            self.save()
            yield

    def save(self) -> None:
        """Write the checkpoint, whole or not at all.

        Of several processes the first one writes, and none goes on before the file is there; if it
        cannot be written, every process raises the OSError.
        """
        if self.checkpoint is None:
            return
        state, problem = self.collect(), None
        if self.processes.rank == 0:
            try:
                save_tensors(state, self.checkpoint)
            except OSError as error:
                problem = error
        problem, *_ = self.processes.gather(problem)
        if problem:
            raise problem

    def load(self, path: str | os.PathLike) -> None:
        """Go back to where `path` was saved; every process reads the file.

        Raises:
            OSError: There is no such file.
            CheckpointError: It is no checkpoint, or one of a run with other settings.
        """
        try:
            state = load_tensors(path)
        except ValueError as error:
            raise CheckpointError(str(error)) from error
        if not isinstance(state, dict) or state.get("format") != FORMAT:
            raise CheckpointError(f"expected a checkpoint of fit, got another file: {str(path)!r}")
        self._check(state, path)
        try:
            self._apply(state)
        except Exception as error:  # parts of another kind or size
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise CheckpointError(
                f"expected a checkpoint of this model and optimizer, got {str(path)!r}: {reason}"
            ) from error

    def _apply(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        had, have = (
            set(o["param_groups"][0]) for o in (state["optimizer"], self.optimizer.state_dict())
        )
        if had != have:
            raise ValueError("an optimizer of another kind")
        self.optimizer.load_state_dict(state["optimizer"])
        vars(self.history).update({name: state["history"][name] for name in vars(self.history)})
        if self.early_stopping:
            self.early_stopping.load_state_dict(state["early_stopping"])
        for generator, value in zip(generators(self.loaders), state["generators"], strict=True):
            generator.set_state(value)
        set_random_state(state["random"][self.processes.rank])

    def collect(self) -> dict[str, Any]:
        """Gather the state as tensors and plain values; what cannot be read back is refused."""
        state = {
            "format": FORMAT,
            "settings": dict(self.settings),
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "history": asdict(self.history),
            "early_stopping": self.early_stopping and self.early_stopping.state_dict(),
            "generators": [generator.get_state() for generator in generators(self.loaders)],
            "random": self.processes.gather(random_state()),
        }
        try:
            return {name: readable(part, name) for name, part in state.items()}
        except ValueError as error:
            raise CheckpointError(str(error)) from error

    def _check(self, state: dict[str, Any], path: str | os.PathLike) -> None:
        lacking = [name for name, kind in PARTS.items() if not isinstance(state.get(name), kind)]
        if lacking:
            raise CheckpointError(f"expected a whole checkpoint, {str(path)!r} lacks {lacking[0]}")
        wrote, train = len(state["random"]), self.processes.world_size
        if wrote != train:
            raise CheckpointError(
                f"the checkpoint was written by {wrote} process{'es' * (wrote != 1)}, got {train}"
            )
        had, have = state["settings"], readable(dict(self.settings), "settings")
        for name in [*had, *(name for name in have if name not in had)]:
            if not _same(had.get(name), have.get(name)):
                raise CheckpointError(
                    f"the checkpoint was written with {name}={had.get(name)}, got {have.get(name)}"
                )
        if bool(state["early_stopping"]) != bool(self.early_stopping):
            names = ["without early_stopping", "with early_stopping"]
            raise CheckpointError(
                f"the checkpoint was written {names[bool(state['early_stopping'])]}, "
                f"got a run {names[bool(self.early_stopping)]}"
            )
        if len(state["generators"]) != len(generators(self.loaders)):
            raise CheckpointError(
                f"the checkpoint was written with {len(state['generators'])} seeded loaders, "
                f"got {len(generators(self.loaders))}"
            )


def _same(a: Any, b: Any) -> bool:
    """Whether two settings are equal; NaN is equal to itself, a tensor to one of its values."""
    if isinstance(a, Tensor) or isinstance(b, Tensor):
        return type(a) is type(b) and torch.equal(a, b)
    return repr(a) == repr(b) or a == b
