"""The tasks of chapters 1 to 3, as data."""

from bnkit.checks.solutions import beginnings as solutions
from bnkit.checks.task import Task

__all__ = ["TASKS"]

TASKS = [
    Task(
        "dead_pixels", "01_why_normalize", "Batches wake dead pixels",
        "Write `dead_pixels(batch, test)` for two tensors of shape (N, C). A pixel is dead if it "
        "has the same value in every row of `batch`. Return how many are dead, and the share of "
        "the rows of `test` in which at least one of them has another value.",
        solutions.dead_pixels,
        (
            "Compare every row of the batch with its first row.",
            "A column is dead if `all` of its comparisons hold. Over which axis is that?",
            "Look at the dead columns of `test` alone. A row counts once, however many of its "
            "pixels have woken: which of `any` and `mean` comes first?",
        ),
    ),
    Task(
        "propagate_centered", "01_why_normalize", "A tug of war",
        "Write `propagate_centered(x, weights)`: for each matrix multiply, subtract from each unit "
        "its mean over the examples, keep that z, and go on with its ReLU. Return the list of all "
        "z.",
        solutions.propagate_centered,
        (
            "Start from `propagate`: which line stands between the product and the ReLU?",
            "x has shape (N, C). A unit is a column, an example a row.",
        ),
    ),
    Task(
        "forward", "02_equations", "The forward pass",
        "Write `batch_norm_train(x, weight, bias, eps)` for `x` of shape (N, C): normalize each "
        "feature with the mean and the biased variance of the batch, then scale and shift.",
        solutions.batch_norm_train,
        (
            "Four lines are enough: mean, variance, x_hat, output.",
            "Over which axis is the mean of a feature taken? Its result has shape (C,).",
            "Which of N and N − 1 does the variance divide by, and where does epsilon stand?",
        ),
        in_book=False,
    ),
    Task(
        "forward_2d", "02_equations", "The forward pass for images",
        "Write `batch_norm_2d(x, weight, bias, eps)` for `x` of shape (N, C, H, W): a channel has "
        "one mean and one variance, over all examples and all pixels.",
        solutions.batch_norm_2d,
        (
            "How many numbers share one mean? N · H · W of them.",
            "Pass all three axes to `mean` at once, and keep them for broadcasting.",
            "weight has shape (C,). Which shape meets x at the channels?",
        ),
        in_book=False,
    ),
    Task(
        "whiten", "02_equations", "Whitening",
        "Write `whiten(x)` for `x` of shape (N, C): multiply the centered batch by the inverse "
        "square root of its covariance matrix (divided by N), so that the outputs are "
        "uncorrelated.",
        solutions.whiten,
        (
            "The covariance matrix is a product of the centered batch with itself. Its shape is "
            "(C, C).",
            "`torch.linalg.eigh` takes a symmetric matrix apart. What does a power of the matrix "
            "do to its eigenvalues?",
            "After the division in the directions of the eigenvectors, turn back: multiply by the "
            "transposed eigenvectors.",
        ),
    ),
    Task(
        "running_statistics", "03_two_modes", "Running statistics",
        "Write `update(running_mean, running_var, x, momentum)` for `x` of shape (N, C): return "
        "both running statistics after one batch. As in PyTorch, `momentum` weights the new value.",
        solutions.update,
        (
            "Both follow one rule: keep a share of the old value, add a share of the new one.",
            "With momentum 0.1, how much of the old value is left?",
            "Which of the two variances is an estimate for all data?",
        ),
        in_book=False,
    ),
    Task(
        "to_pytorch", "03_two_modes", "Convert",
        "Write `to_pytorch(keras_momentum)`: return the momentum that makes PyTorch's layer move "
        "as Keras' layer does.",
        solutions.to_pytorch,
        (
            "Write down one update in both conventions. Which factor stands before the batch's "
            "mean?",
            "Keras' default is 0.99. Does it move fast or slowly, and what would PyTorch make of "
            "that number?",
        ),
    ),
    Task(
        "corrected_mean", "03_two_modes", "Remove the start",
        "Write `corrected_mean(batch_means, momentum)` for means of shape (T, C): start a running "
        "mean at 0 and return, for each of the T batches, its value divided by the share that the "
        "batches have in it.",
        solutions.corrected_mean,
        (
            "First compute the running mean after every batch, without any correction.",
            "What weight does the starting value still have after t batches? The rest is the "
            "batches' share.",
            "Correct what you return, not what you carry on with.",
        ),
    ),
    Task(
        "freeze", "03_two_modes", "Freeze",
        "Write `freeze(model)`: after it, the running statistics of no batch normalization in the "
        "model move, and every other layer stays in training mode.",
        solutions.freeze,
        (
            "Running statistics are no parameters. What else decides whether they move?",
            "A model may hold models. Which method walks through all of them?",
            "There are three classes of the layer: 1d, 2d and 3d.",
        ),
    ),
]  # fmt: skip
