"""What several processes compute together: a sum that gradients pass, and a look at each other.

Every process of a group has to make these calls, in the same order; a process that stays away
leaves the others waiting until the group's timeout.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import FunctionCtx

__all__ = [
    "Description",
    "all_reduce",
    "exchange_descriptions",
    "group_size",
    "refuse_differences",
    "refuse_refusals",
]

_DTYPES = sorted({v for v in vars(torch).values() if isinstance(v, torch.dtype)}, key=str)


def all_reduce(tensor: Tensor, process_group: dist.ProcessGroup | None = None) -> Tensor:
    r"""Sum a tensor over all processes, differentiably.

    .. math::

        y^{(r)} = \sum_s x^{(s)}, \qquad \nabla_{x^{(r)}} = \sum_s \nabla_{y^{(s)}}

    What one process puts in reaches the result of every process, so the gradients of all of them
    come back: the backward pass is another sum, and the backward pass of that one, too.

    Args:
        tensor: Floating point, of one shape and dtype on all processes.
        process_group: Who takes part; None means all processes.

    Returns:
        The sum, a new tensor of that shape; the same on every process.

    Raises:
        RuntimeError: A process of the group died or did not answer within the group's timeout.

    Example:
        >>> def worker(rank, world_size):  # in a module; then launch(worker, 2)
        ...     return all_reduce(torch.tensor([1.0, float(rank)]))  # tensor([2., 1.]) on both

    Source: ``torch.distributed.all_reduce``, which by itself stops gradients.
    """
    return _AllReduce.apply(tensor, process_group)


class _AllReduce(Function):
    @staticmethod
    def forward(
        ctx: FunctionCtx, tensor: Tensor, process_group: dist.ProcessGroup | None
    ) -> Tensor:
        ctx.process_group = process_group
        total = tensor.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total, group=process_group)
        return total

    @staticmethod
    def backward(ctx: FunctionCtx, grad_output: Tensor) -> tuple[Tensor, None]:
        return _AllReduce.apply(grad_output, ctx.process_group), None


class Description(NamedTuple):
    """What each process tells the others about its input before they compute together."""

    dims: int
    channels: int
    dtype: int  # index in a list that is the same on all processes
    needs_grad: int  # whether the backward pass will communicate
    refused: int  # whether this process cannot go on, whatever the others have
    count: int  # values per channel; may differ

    @property
    def kind(self) -> tuple[int, ...]:
        """What must not differ between processes."""
        return self[:4]

    def __str__(self) -> str:
        """Tell the kind in words."""
        grad = "that needs a gradient" if self.needs_grad else "without gradient"
        return f"{self.dims}D input, {self.channels} channels, {_DTYPES[self.dtype]}, {grad}"


def exchange_descriptions(
    input: Tensor, refused: bool = False, process_group: dist.ProcessGroup | None = None
) -> list[Description]:
    """Tell the other processes what this one has, in a message whose size never differs.

    Collectives trust their callers: tensors of unlike sizes or dtypes end in wrong numbers or in an
    abort in C++. Six integers first, and the mistake can be named instead.
    """
    channels = input.shape[1] if input.dim() > 1 else 0
    own = Description(
        dims=input.dim(),
        channels=channels,
        dtype=_DTYPES.index(input.dtype),
        needs_grad=int(torch.is_grad_enabled() and input.requires_grad),
        refused=int(refused),
        count=input.numel() // channels if channels else 0,
    )
    sent = torch.tensor(own, device=input.device)  # int64, shape (6,)
    received = [torch.empty_like(sent) for _ in range(dist.get_world_size(process_group))]
    dist.all_gather(received, sent, group=process_group)
    return [Description(*row) for row in torch.stack(received).tolist()]


def refuse_differences(
    descriptions: list[Description], process_group: dist.ProcessGroup | None = None
) -> None:
    """Raise the same ValueError on every process if their inputs do not go together.

    It names the ranks whose kind of input the fewest processes share; of two equal camps, the one
    without the lowest rank.
    """
    votes = Counter(description.kind for description in descriptions)  # ties: the first seen
    usual = votes.most_common(1)[0][0]
    odd = [i for i, description in enumerate(descriptions) if description.kind != usual]
    if not odd:
        return
    expected = next(d for d in descriptions if d.kind == usual)
    verb = "differs" if len(odd) == 1 else "differ"
    raise ValueError(
        f"{_names(odd, process_group)} {verb} from the others: "
        f"expected {expected}; got {descriptions[odd[0]]}"
    )


def refuse_refusals(
    descriptions: list[Description], process_group: dist.ProcessGroup | None = None
) -> None:
    """Raise a RuntimeError where another process cannot go on, instead of waiting for it."""
    refused = [i for i, description in enumerate(descriptions) if description.refused]
    if refused:
        names = _names(refused, process_group)
        raise RuntimeError(f"expected an input that every rank can use, got a refusal by {names}")


def _names(ranks: list[int], process_group: dist.ProcessGroup | None) -> str:
    """The ranks among all processes, for ranks within a group."""
    if process_group is not None:
        ranks = [dist.get_global_rank(process_group, rank) for rank in ranks]
    return f"rank {ranks[0]}" if len(ranks) == 1 else f"ranks {ranks}"


def group_size(process_group: dist.ProcessGroup | None = None) -> int:
    """Count the processes that take part; 1 where no process group was initialized."""
    if not (dist.is_available() and dist.is_initialized()):
        return 1
    size = dist.get_world_size(process_group)
    if size < 1:
        raise RuntimeError(f"expected a process group with rank {dist.get_rank()} in it, got none")
    return size
