"""Several processes that train one model together, each on its part of every batch.

Why not ``DistributedDataParallel``? It means the *processes'* gradients, so that a sample in a
short part weighs more, it waits forever for a process that has no samples in a step, and it renames
the keys of ``state_dict``. One all-reduce of all gradients with the count of samples behind them
weighs every sample alike and takes less code than to work around the three. What it lacks is
to send the first gradients while the last are being computed, which pays for large networks.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from bnkit.training.place import Batch, LossFunction, Processes, device_of, length_of

__all__ = ["Replicas", "torchrun_processes"]


class Replicas(Processes):
    """The processes of a group, each with a replica of the model.

    All of them call `bnkit.training.fit` with ``replicas=Replicas()``, the same settings and a
    loader of their own part of the data, such as ``loader.shard(rank, world_size)`` of
    `BatchLoader`. Without synchronized layers, each replica's batch normalization sees its own part
    of a batch, and the running statistics of rank 0 are those that count.

    Args:
        process_group: Who takes part; ``None`` means all processes.

    Attributes:
        rank: The number of this process, from 0.
        world_size: How many there are.
        device: Where `fit` trains by itself: on the CPU, if that is where they talk.

    Raises:
        RuntimeError: ``torch.distributed`` has no process group yet.

    Example:
        >>> Replicas()  # outside of `launch` and torchrun
        Traceback (most recent call last):
            ...
        RuntimeError: expected a process group: call torch.distributed's init first
    """

    def __init__(self, process_group: dist.ProcessGroup | None = None) -> None:
        if not dist.is_initialized():
            raise RuntimeError("expected a process group: call torch.distributed's init first")
        self.process_group = process_group
        self.rank = dist.get_rank(process_group)
        self.world_size = dist.get_world_size(process_group)
        self.device = "cpu" if dist.get_backend(process_group) == "gloo" else "auto"
        self._interrupted = False

    def align(self, model: nn.Module) -> None:
        """Give every replica the parameters and buffers of rank 0."""
        tensors = [tensor.detach() for tensor in (*model.parameters(), *model.buffers())]
        for dtype in dict.fromkeys(tensor.dtype for tensor in tensors):  # one message for each
            alike = [tensor for tensor in tensors if tensor.dtype == dtype]
            flat = torch.cat([tensor.flatten() for tensor in alike])
            dist.broadcast(flat, self._root(), group=self.process_group)
            for tensor, part in zip(alike, flat.split([t.numel() for t in alike]), strict=True):
                tensor.copy_(part.view_as(tensor))

    def batches(self, loader: Iterable[Batch]) -> Iterator[Batch]:
        """Iterate as often as the process with the most batches does.

        After its own batches a process gets empty ones: whoever stopped early would leave the
        others waiting. A loader without a batch, or without a length, is a ValueError on all.
        """
        length = length_of(loader)
        lengths = self.gather(length)
        if None in lengths or min(lengths) < 1:
            raise ValueError(f"expected loaders with at least one batch each, got {lengths}")
        for batch in loader:
            yield batch
        for _ in range(max(lengths) - length):
            yield tuple(part[:0] for part in batch)

    def backward(self, model: nn.Module, loss_fn: LossFunction, x: Tensor, y: Tensor) -> Tensor:
        """Give every replica the gradient of the mean loss over the samples of all parts.

        With n_r samples and mean loss L_r on rank r, it is the gradient of
        sum_r n_r L_r / sum_r n_r; L_r is returned. All raise when one was interrupted.
        """
        loss = torch.zeros((), device=x.device)
        if len(x):
            loss = loss_fn(model(x), y)
            (loss * len(x)).backward()
        elif _communicates(model):  # the others wait for this process inside the layer
            (model(x).sum() * 0).backward()
        self._share_gradients(model, len(x))
        return loss.detach()

    def sum(self, values: Iterable[float], device: str | torch.device) -> list[float]:
        """Add numbers over the processes; the sums have the same bits everywhere."""
        total = torch.tensor(list(values), dtype=torch.float64, device=device)
        dist.all_reduce(total, group=self.process_group)
        dist.broadcast(total, self._root(), group=self.process_group)
        return total.tolist()

    def gather(self, value: Any) -> list[Any]:
        """Collect a value of every process: those of rank 0, 1, ..."""
        values: list[Any] = [None] * self.world_size
        dist.all_gather_object(values, value, group=self.process_group)
        return values

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Let an interrupt from the keyboard end all processes in the same step.

        A process that left at once would leave the others waiting for it.
        """
        self._interrupted = False
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(signal.SIGINT, self._note_interrupt)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def _note_interrupt(self, *_: object) -> None:
        self._interrupted = True

    def _root(self) -> int:
        group = self.process_group
        return 0 if group is None else dist.get_global_rank(group, 0)

    def _share_gradients(self, model: nn.Module, count: int) -> None:
        parameters = [p for p in model.parameters() if p.requires_grad]
        has = [p.grad is not None for p in parameters]
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        notes = torch.tensor([count, self._interrupted, *has], dtype=torch.float32)
        parts = [gradient.flatten() for gradient in gradients]
        flat = torch.cat([notes.to(device_of(model)), *parts])  # one message a step
        dist.all_reduce(flat, group=self.process_group)
        total, interrupted, *has_anywhere = flat[: len(notes)].tolist()
        if interrupted:
            raise KeyboardInterrupt
        means = (flat[len(notes) :] / max(total, 1)).split([part.numel() for part in parts])
        for p, mean, wanted in zip(parameters, means, has_anywhere, strict=True):
            p.grad = mean.view_as(p).to(p.dtype) if wanted else None


def _communicates(model: nn.Module) -> bool:
    """Whether a layer talks to the other processes, as every kind of SyncBatchNorm does."""
    return any(hasattr(module, "process_group") for module in model.modules())


@contextmanager
def torchrun_processes() -> Iterator[Processes]:
    """Join the other processes if ``torchrun`` started this one, which else is alone.

    They talk by NCCL where there are GPUs, one for each process of a machine, else by gloo.
    """
    if not dist.is_torchelastic_launched():
        yield Processes()
        return
    rank, processes = (int(os.environ[name]) for name in ("LOCAL_RANK", "LOCAL_WORLD_SIZE"))
    gpu = torch.cuda.is_available() and torch.cuda.device_count() >= processes
    device = torch.device("cuda", rank) if gpu and dist.is_nccl_available() else None
    if device:
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device else "gloo", device_id=device)
    try:
        yield Replicas()
    finally:
        dist.destroy_process_group()
