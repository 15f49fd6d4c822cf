"""The tasks of chapters 4 to 6, as data."""

from bnkit.checks.solutions import by_hand as solutions
from bnkit.checks.task import Task

__all__ = ["TASKS"]

TASKS = [
    Task(
        "backward", "04_backward", "The backward pass",
        "Write `backward(grad_output, x, weight, eps)` for tensors of shape (N, C), weight of "
        "shape (C,): return grad_input, grad_weight and grad_bias without autograd.",
        solutions.backward,
        (
            "Compute x_hat again. Two of the three gradients are sums over the batch.",
            "x reaches the output on three paths: directly, through the mean, and through the "
            "variance.",
            "What is left of grad_output is perpendicular to the ones and to x_hat.",
        ),
        in_book=False,
    ),
    Task(
        "backward_2d", "04_backward", "Images",
        "Write `batch_norm_backward_2d(grad_output, x, weight, eps)` for tensors of shape "
        "(N, C, H, W), weight of shape (C,): return grad_input, grad_weight and grad_bias.",
        solutions.batch_norm_backward_2d,
        (
            "The equation stays. Which numbers share a mean now, and how many are they?",
            "Every mean and sum over the batch runs over three axes.",
            "weight has shape (C,). With `view` it meets the channels.",
        ),
    ),
    Task(
        "layer_norm_backward", "04_backward", "The other axis",
        "Write `layer_norm_backward(grad_output, x, eps)` for tensors of shape (N, C): return the "
        "grad_input of layer normalization without weight and bias.",
        solutions.layer_norm_backward,
        (
            "Layer normalization normalizes each row. What would make a row look like a column?",
            "`batch_norm_backward` with weight 1 does all the work, between two transpositions.",
        ),
    ),
    Task(
        "layer", "05_manual_implementation", "The layer",
        "Write a module `Layer(num_features, eps=1e-5, momentum=0.1)` for inputs of shape (N, C) "
        "that does in both modes what `nn.BatchNorm1d` does, with the same names in its "
        "`state_dict`.",
        solutions.Layer,
        (
            "Two tensors are learned, three are only kept. Which of `nn.Parameter` and "
            "`register_buffer` is for which?",
            "Training normalizes with the biased variance and keeps the unbiased one.",
            "The update belongs under `torch.no_grad()`, the batch's own mean and variance do not.",
        ),
        in_book=False,
    ),
    Task(
        "averaging_layer", "05_manual_implementation", "`momentum=None`",
        "Write a module `Averaging(num_features)` that does what "
        "`nn.BatchNorm1d(num_features, momentum=None)` does for inputs of shape (N, C): every "
        "batch counts alike, also after saving and loading.",
        solutions.Averaging,
        (
            "After t batches each of them should weigh 1/t. How much must the newest one weigh?",
            "Where is the number of batches kept so that `state_dict` holds it?",
            "The count grows before the share is taken, or the first batch weighs 1/0.",
        ),
    ),
    Task(
        "layer_2d", "05_manual_implementation", "Every position is an example",
        "Write a module `BatchNorm2dAsRows(num_features, eps=1e-5, momentum=0.1)` for inputs of "
        "shape (N, C, H, W), on top of the unchanged `forward` of a BatchNorm1d.",
        solutions.BatchNorm2dAsRows,
        (
            "BatchNorm1d takes rows of C features. How many such rows does a batch of images have?",
            "`movedim` brings the channels to the end, then `reshape` makes rows.",
            "Undo both steps in reverse order.",
        ),
    ),
    Task(
        "reestimate", "05_manual_implementation", "Rescue the file",
        "Write `reestimate(model, batches)`: give the model running statistics that are the plain "
        "average over the batches of inputs, without labels and without changing a weight.",
        solutions.reestimate,
        (
            "In which mode do running statistics move? What must be forgotten first?",
            "Which momentum makes all batches count alike?",
            "No gradient is needed, and nothing may be trained.",
        ),
    ),
    Task(
        "evaluate", "06_mnist_early_stopping", "Evaluate",
        "Write `evaluate(model, loader)`: return the mean cross entropy and the share of right "
        "answers over all examples of the loader, whose last batch may be short.",
        solutions.evaluate,
        (
            "Which mode, and which context for the gradients?",
            "Add up over examples, and divide once at the end.",
            "Is the mean over batches the mean over examples if the last batch is short?",
        ),
        in_book=False,
    ),
    Task(
        "training_step", "06_mnist_early_stopping", "One step",
        "Write `training_step(model, optimizer, x, y)`: one step on the cross entropy of the "
        "batch. Return the loss before the step. The model may come in evaluation mode.",
        solutions.training_step,
        (
            "Five lines: mode, old gradients, loss, gradients, step.",
            "What do gradients do when `backward` is called twice?",
        ),
        in_book=False,
    ),
    Task(
        "early_stopping", "06_mnist_early_stopping", "From memory, or to disk",
        "Write a class `Stopper(patience, delta)`. After each epoch it is called with "
        "`(val_loss, model)`; `early_stop` says whether to stop, and `restore(model)` loads the "
        "weights of the best epoch, kept in memory or in a file.",
        solutions.Stopper,
        (
            "What counts as an improvement if a loss must fall by more than delta?",
            "What happens to the counter at an improvement, and what otherwise? When is patience "
            "used up?",
            "`state_dict()` hands out the live tensors. What becomes of them in the next epoch?",
        ),
    ),
]  # fmt: skip
