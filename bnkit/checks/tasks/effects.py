"""The tasks of chapters 7 to 12, as data."""

from bnkit.checks.solutions import effects as solutions
from bnkit.checks.task import Task

__all__ = ["TASKS"]

TASKS = [
    Task(
        "turn", "07_speed_and_learning_rate", "By hand",
        "Write `turn(w, grad, lr)` for two vectors: after one step of gradient descent, return "
        "the length of the new w and the angle, in degrees, by which w has turned.",
        solutions.turn,
        (
            "Take the step first. Length and angle belong to the new vector.",
            "The cosine of an angle is the dot product divided by both lengths.",
        ),
    ),
    Task(
        "matching_lr", "08_initialization", "Adam",
        "Write `matching_lr(lr, a, optimizer)`: weights in front of a batch normalization start "
        "`a` times larger. Return the learning rate that gives the same training as `lr` did, for "
        '`optimizer` `"sgd"` or `"adam"`.',
        solutions.matching_lr,
        (
            "Only the step relative to the length of the weights matters. How much longer must it "
            "be?",
            "The gradient of weights that are a times larger is a times smaller. Which of the two "
            "optimizers notices?",
        ),
    ),
    Task(
        "halving_batch", "09_regularization", "Halve the noise",
        "Write `halving_batch(batch_size, total)`: return the batch size (it need not be whole) "
        "that halves the noise, the standard deviation of the batch mean, if batches are drawn "
        "without replacement from `total` examples. `total` may be `math.inf`.",
        solutions.halving_batch,
        (
            "Half the standard deviation is which part of the variance?",
            "Without replacement the variance is proportional to `(total - N) / N`. Solve for N.",
            "Check the ends: with plentiful data you know the answer, and it can never exceed "
            "`total`.",
        ),
    ),
    Task(
        "skip_block", "10_why_it_works", "Skip connections",
        "Write a module `Skip(width)` that computes h + BN(W relu(h)) for inputs of shape "
        "(N, width), with one `nn.Linear` and one `nn.BatchNorm1d`.",
        solutions.Skip,
        (
            "Read the formula from the inside: what happens to h first?",
            "The addition comes last, and what is added is the h that came in.",
        ),
    ),
    Task(
        "reestimated", "11_batch_size", "Re-estimate, then freeze",
        "Write `reestimated(net, batches)`: return a copy of the network whose running statistics "
        "are the plain average over the batches of inputs. The given network keeps its own.",
        solutions.reestimated,
        (
            "What must be copied, and before what?",
            "Layers of batch normalization may lie deep inside. Which method finds all of them?",
            "Forget the old statistics, and make all batches count alike.",
        ),
    ),
    Task(
        "merge", "12_train_test_mismatch", "Unequal batches",
        "Write `merge(counts, means, variances)` for P batches, counts of shape (P,), means and "
        "biased variances of shape (P, C): return mean and biased variance of all examples "
        "together.",
        solutions.merge,
        (
            "How much should a batch of three weigh against a batch of one?",
            "Two batches may have variance 0 each and still differ. What does the variance of all "
            "examples see that neither of theirs does?",
        ),
    ),
]  # fmt: skip
