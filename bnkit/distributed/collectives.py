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

from bnkit.functional import transformed

__all__ = [
    "Description",
    "Kind",
    "all_reduce",
    "describe",
    "exchange",
    "expect_agreement",
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
    function = _TransformedAllReduce if transformed() else _AllReduce
    return function.apply(tensor, process_group)


class _AllReduce(Function):
    @staticmethod
    def forward(tensor: Tensor, process_group: dist.ProcessGroup | None) -> Tensor:
        total = tensor.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total, group=process_group)
        return total

    @staticmethod
    def setup_context(ctx: FunctionCtx, inputs: tuple, output: Tensor) -> None:
        ctx.process_group = inputs[1]

    @staticmethod
    def backward(ctx: FunctionCtx, grad_output: Tensor) -> tuple[Tensor, None]:
        return all_reduce(grad_output, ctx.process_group), None


class _TransformedAllReduce(_AllReduce):
    """What forward mode and vmap need beside it; torch.compile refuses functions that have it."""

    @staticmethod
    def jvp(ctx: FunctionCtx, tangent: Tensor, _: None) -> Tensor:
        return all_reduce(tangent, ctx.process_group)

    @staticmethod
    def vmap(
        info: object, in_dims: tuple, tensor: Tensor, process_group: dist.ProcessGroup | None
    ) -> tuple[Tensor, int]:
        return all_reduce(tensor, process_group), in_dims[0]


Kind = tuple[int, ...]


class Description(NamedTuple):
    """What each process tells the others about its input before they compute together."""

    dims: int
    channels: int
    dtype: int  # index in a list that is the same on all processes
    needs_grad: int  # whether the backward pass will communicate
    refused: int  # whether this process cannot go on, whatever the others have
    count: int  # values per channel; may differ

    @property
    def kind(self) -> Kind:
        """What must not differ between processes."""
        return self[:4]

    def __str__(self) -> str:
        """Tell the kind in words."""
        grad = "that needs a gradient" if self.needs_grad else "without gradient"
        return f"{self.dims}D input, {self.channels} channels, {_DTYPES[self.dtype]}, {grad}"


def describe(input: Tensor, refused: bool = False) -> Description:
    """What this process has."""
    channels = input.shape[1] if input.dim() > 1 else 0
    return Description(
        dims=input.dim(),
        channels=channels,
        dtype=_DTYPES.index(input.dtype),
        needs_grad=int(torch.is_grad_enabled() and input.requires_grad),
        refused=int(refused),
        count=input.numel() // channels if channels else 0,
    )


def exchange(
    own: Description, device: torch.device, process_group: dist.ProcessGroup | None = None
) -> Tensor:
    """Tell the other processes what this one has, in a message whose size never differs.

    Collectives trust their callers: tensors of unlike sizes or dtypes end in wrong numbers or in an
    abort in C++. Six integers first, and the mistake can be named instead.
    """
    sent = torch.stack([torch.full((), value, device=device) for value in own])  # int64, (6,)
    received = [torch.empty_like(sent) for _ in range(dist.get_world_size(process_group))]
    dist.all_gather(received, sent, group=process_group)
    return torch.stack(received)  # (ranks, 6)


def expect_agreement(received: Tensor) -> None:
    """Let the device end what `refuse_differences` and `refuse_refusals` would name."""
    alike = (received[:, :4] == received[:1, :4]).all() & ~received[:, 4].any()
    enough = received[:, 5].sum() > 1
    torch._assert_async(alike & enough, "expected inputs of one kind on all ranks, got others")


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
