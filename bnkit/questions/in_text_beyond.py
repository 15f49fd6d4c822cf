r"""Questions in the text of chapters 13 to 17, each where it arises."""

from bnkit.book.quiz import choice
from bnkit.questions.question import Question

__all__ = ["IN_TEXT"]

IN_TEXT = {
    "13-count": Question(
        "An activation has shape (64, 32, 28, 28). How many means does GroupNorm(8, 32) compute?",
        answer=64 * 8,
        tolerance=0,
        feedback={
            "right": "Eight for each of the 64 examples, each over 4 channels of 28 by 28 numbers.",
            "wrong": "Count the sets: one for each group of each example.",
            8: "That is per example. No mean is shared between examples, and there are 64 of them.",
            32: "One mean per channel over the whole batch is batch normalization.",
            64: "One mean per example is layer normalization.",
            64 * 32: "One mean per channel of each example is instance normalization.",
        },
    ),
    "13-invariance": Question(
        "In a photo the exposure varies: each image may be darker by a factor of its own. Which "
        "first normalization makes a network without biases blind to that?",
        [
            choice(
                "Batch normalization, since it makes every channel's variance 1.",
                "On average over the batch. A dark image among bright ones stays dark, and in eval "
                "mode every image is divided by the same number.",
            ),
            choice(
                "Any that takes its statistics from one example.",
                "A factor on one whole example scales all of its sets alike, and each is divided "
                "by its own spread.",
                correct=True,
            ),
            choice(
                "Only instance normalization.",
                "It is blind to more, to a factor for each channel. Layer, group and RMS "
                "normalization suffice for one factor per image.",
            ),
        ],
    ),
    "15-fold": Question(
        r"One unit: \(w = 2, b = 1\), running mean 3, running variance 4, "
        r"\(\gamma = 6, \beta = 1\), \(\epsilon = 0\). What is the folded bias?",
        answer=-5,
        tolerance=0,
        feedback={
            "right": r"\(a = 6 / \sqrt{4} = 3\), and \(3 \cdot (1 - 3) + 1 = -5\).",
            "wrong": r"First \(a = \gamma / \sqrt{r_{\sigma^2}}\), then \(a (b - r_\mu) + \beta\).",
            -7: r"Here \(b\) was not scaled. It is inside the bracket: batch normalization sees "
            r"\(w x + b\).",
            -6: r"\(\beta\) is missing.",
            -2: "That divides by the variance. The root is missing.",
            -8: "Here the old bias was dropped. A trained one must be kept, unless the layer was "
            "made with bias=False.",
        },
    ),
    "15-where": Question(
        "A pre-activation residual block runs BN → ReLU → conv (padding 1), and adds its input at "
        "the end. Can its batch normalization be folded?",
        [
            choice(
                "Yes, into the convolution behind it.",
                "ReLU stands between the two, so the affine map does not reach the convolution.",
            ),
            choice(
                "Yes, into the convolution at the end of the block before it.",
                "That output also travels along the skip connection, where no batch normalization "
                "acts. Scaling it would change the skip path.",
            ),
            choice(
                "No, not as it stands.",
                "In front of it is a sum that is used twice, behind it a ReLU. It remains a "
                "multiplication and an addition per channel, which engines fuse into a neighboring "
                "operation.",
                correct=True,
            ),
        ],
    ),
    "14-bias": Question(
        "In which of these chains is the convolution's bias redundant?",
        [
            choice("Conv → BatchNorm → ReLU", "The mean subtracts it at once.", True),
            choice("Conv → ReLU → BatchNorm", "The bias decides what the ReLU cuts off."),
            choice("Conv → average pooling → BatchNorm", "A constant passes the averaging.", True),
            choice("Conv → LayerNorm over channels", "The biases of channels differ."),
        ],
    ),
    "16-served": Question(
        "97 % after training, 12 % when the saved file is served elsewhere. Which patient is it?",
        [
            choice(
                "A", "Its gradients are wrong, but what it learned is saved and loaded faithfully."
            ),
            choice("B", "At batch 64 its two modes differ by under one percent in scale."),
            choice("C", "The statistics were never saved. The first process had them.", True),
            choice("D", "It leaks memory. Its buffers are saved with the right values."),
        ],
    ),
    "16-alias": Question(
        "Which of these keep the best weights safe from later training steps?",
        [
            choice("best = net.state_dict()", "References to tensors that the optimizer rewrites."),
            choice("best = dict(net.state_dict())", "A new dictionary, the same tensors."),
            choice("best = copy.deepcopy(net.state_dict())", "Running statistics too.", True),
            choice("torch.save(net.state_dict(), path)", "Slower, and safe.", True),
        ],
    ),
    "17-accumulate": Question(
        "Gradients are accumulated over 8 batches of 2 on one GPU. Does SyncBatchNorm give them "
        "statistics over 16?",
        [
            choice("Yes, that is what it is for.", "It shares between processes. Here is one."),
            choice(
                "No: it merges over processes, not over time.",
                "With one process it is plain BN over 2.",
                correct=True,
            ),
            choice("Yes, in the running statistics.", "They average over time, batches of 2 each."),
        ],
    ),
}
