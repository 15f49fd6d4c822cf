"""The tasks of chapters 13 to 17, as data."""

from bnkit.checks.solutions import practice as solutions
from bnkit.checks.task import Task

__all__ = ["TASKS"]

TASKS = [
    Task(
        "layer_norm", "13_alternatives", "Layer normalization",
        "Write `layer_norm(x, weight, bias, eps)` for `x` of shape (N, C): normalize each example "
        "over its features, then scale and shift each feature.",
        solutions.layer_norm,
        (
            "Which numbers share a mean: those of one row, or those of one column?",
            "Keep the axis, so that a mean of each row meets the rows again.",
        ),
        in_book=False,
    ),
    Task(
        "group_norm", "13_alternatives", "Group normalization",
        "Write `group_norm(x, num_groups, weight, bias, eps)` for `x` of shape (N, C, H, W): "
        "normalize each example over each group of neighboring channels and all pixels, then "
        "scale and shift each channel.",
        solutions.group_norm,
        (
            "`unflatten` splits the channels into groups and the channels of a group.",
            "Over which axes of (N, G, C / G, H, W) does a set extend?",
            "Scale and shift after the groups are joined again: there is one weight a channel.",
        ),
        in_book=False,
    ),
    Task(
        "family", "13_alternatives", "Write it with two numbers",
        "Write `family(x, groups, over_batch)` for `x` of shape (N, C, L): normalize over the "
        "channels of each group and all positions, and over the batch too if `over_batch`. Epsilon "
        "is 1e-5, and there is no weight and no bias.",
        solutions.family,
        (
            "Split the channels first: (N, C, L) becomes (N, groups, C / groups, L).",
            "Which two axes always belong to a set? Which third one does `over_batch` add?",
            "Join the groups again at the end.",
        ),
    ),
    Task(
        "close_doors", "14_architectures", "A closed door",
        "Write `close_doors(net)`: in every residual block of the network, that is in every module "
        "with an attribute `branch`, set the weight of the branch's last layer, its batch "
        "normalization, to 0. All else stays as it is, and the weight goes on to learn.",
        solutions.close_doors,
        (
            "Blocks may lie inside other modules. Which method finds all of them?",
            "Change the numbers of the parameter that is there. `nn.init` has functions for it.",
        ),
    ),
    Task(
        "fold", "15_inference", "No bias",
        "Write `fold_any(layer, bn)`: return a new Linear or Conv2d that does the work of `layer` "
        "and of the batch normalization after it, in evaluation mode. The given layer may have "
        "been made with `bias=False`, and is not changed.",
        solutions.fold_any,
        (
            "A layer without a bias adds something to its product all the same. Which number?",
            "Set b to it in the equation for the folded bias. Does the folded layer need a bias?",
            "A layer made with `bias=False` has `bias` None. A copy can be given a new "
            "`nn.Parameter`.",
        ),
    ),
    Task(
        "fold_forward", "15_inference", "Fold forward",
        "Write `fold_before(bn, conv)`: return a new Conv2d that does the work of a batch "
        "normalization in evaluation mode and of the convolution after it, which has no padding "
        "and may lack a bias.",
        solutions.fold_before,
        (
            "Write the normalization as a x + c, with one a and one c for each input channel.",
            "The filter has shape (outputs, inputs, height, width). Which axis does a belong to?",
            "c enters as an image of one color. What does the filter make of it?",
        ),
    ),
    Task(
        "shift_check", "16_capstone", "Patient F",
        "Write `shift_check(make)`, where `make(num_features)` makes a batch normalization layer "
        "in training mode: return the largest difference from PyTorch's layer on a batch that you "
        "choose. For Patient F it must be above 0.1 or infinite, for a healthy layer below 0.01.",
        solutions.shift_check,
        (
            "Patient F subtracts two numbers. When are they large and almost equal?",
            "In float32 about seven digits are kept. What mean makes a variance of 1 invisible in "
            "a square?",
            "A negative variance has no root: `nan_to_num` turns its nan into infinity.",
        ),
    ),
    Task(
        "sync", "17_many_machines", "Synchronize",
        "Write `synchronized(shards, eps)` for a list of tensors of shape (N_p, C), one for each "
        "process: return the list of their outputs, normalized with mean and biased variance of "
        "all examples.",
        solutions.synchronized,
        (
            "Shards may have different sizes. What must every process tell besides its mean and "
            "its variance?",
            "Merge the means with the counts as weights. Then the variances: each needs the "
            "squared distance of its mean from the common one.",
        ),
    ),
]  # fmt: skip
