"""Collectives: a sum that gradients pass, and processes that compare what they have."""

import pytest
import rank_workers
import torch

from bnkit.distributed.collectives import Description, refuse_differences, refuse_refusals
from bnkit.distributed.launching import launch


def test_a_sum_over_ranks_is_differentiable_twice():
    ranks = launch(rank_workers.sum_twice, 2)
    x = torch.tensor([[1.0, 2.0], [2.0, 2.0]], dtype=torch.float64, requires_grad=True)
    total = x.sum(0)
    # Each rank's loss counts: two alike
    (grad,) = torch.autograd.grad(2 * (total**3).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(grad.sum(), x)
    for rank, results in enumerate(ranks):
        torch.testing.assert_close(results, (total.detach(), grad[rank].detach(), second[rank]))


def test_of_two_camps_the_one_without_the_lowest_rank_differs():
    ours, theirs = Description(2, 3, 0, 1, 0, 8), Description(4, 3, 0, 1, 0, 8)
    with pytest.raises(ValueError, match=r"^ranks \[1, 3\] differ from the others: expected 2D"):
        refuse_differences([ours, theirs, ours, theirs])
    refuse_differences([ours, ours._replace(count=1)])


def test_ranks_that_refused_are_named():
    fine = Description(2, 3, 0, 1, 0, 8)
    with pytest.raises(RuntimeError, match=r"got a refusal by rank 2$"):
        refuse_refusals([fine, fine, fine._replace(refused=1)])
    refuse_refusals([fine, fine])
