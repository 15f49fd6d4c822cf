"""Questions in the text of chapters 1 to 6, each where it arises."""

from bnkit.book.quiz import choice
from bnkit.questions.question import Question

__all__ = ["IN_TEXT"]

IN_TEXT = {
    "01-init": Question(
        r"Biases are zero and \( s = 1 \). After how many ReLU layers has the size fallen to "
        "about one thousandth?",
        answer=20,
        tolerance=0.5,
        feedback={
            "right": r"The factor is \( 1/\sqrt{2} \) per layer, and \( 2^{-20/2} = 2^{-10} "
            r"\approx 1/1000 \).",
            "wrong": r"The factor is \( s/\sqrt{2} \approx 0.71 \) per layer. Which power of it "
            "is about 1/1000?",
            10: "That is how fast the mean square falls. The size is its square root, so it "
            "takes twice as long.",
            1000: "The factors multiply. They do not add.",
        },
    ),
    "01-conditioning": Question(
        r"You multiply both features by 10. What happens to \( \kappa \) and to the limit \( "
        r"2/\lambda_{\max} \)?",
        [
            choice(r"\( \kappa \) grows by 100.", "Both eigenvalues grow alike. And their ratio?"),
            choice(
                r"\( \kappa \) stays, the limit falls by 10.",
                r"\( H \) holds products of features.",
            ),
            choice(
                r"\( \kappa \) stays, the limit falls by 100.",
                r"Right: \( H \) grows by 100.",
                True,
            ),
            choice("Neither changes.", r"The ratio stays, but \( H \) is made of the features."),
        ],
    ),
    "02-biased": Question(
        "A batch holds two examples. You multiply one of them by 1,000. What happens to "
        r"\(\hat{x}\)?",
        [
            choice(
                "It grows by about 1,000.",
                r"The standard deviation grows with it, and divides it out again.",
            ),
            choice(
                r"Nothing: it stays \(\pm 1\), unless the order of the two flips.",
                r"With two values, \(x - \mu\) is \(\pm\) half their distance, and so is "
                r"\(\sigma\).",
                correct=True,
            ),
            choice(
                "It shrinks to almost zero.",
                r"That would need a \(\sigma\) that grows faster than the values do.",
            ),
        ],
    ),
    "02-axes": Question(
        "An activation has shape (64, 32, 28, 28). Over how many numbers does BatchNorm2d "
        "average to get one mean?",
        answer=64 * 28 * 28,
        tolerance=0,
        feedback={
            "right": r"\(N \cdot H \cdot W = 64 \cdot 28 \cdot 28\). There are 32 such means.",
            "wrong": "Count every position that shares the channel: examples times height times "
            "width.",
            64: "That is one mean per channel and pixel. Positions share the weights of a "
            "convolution, so they share statistics.",
            32: "That is how many means there are, not how many numbers each one averages.",
            28 * 28: "That would be one mean per image: instance normalization.",
        },
    ),
    "03-momentum": Question(
        "A Keras model uses `momentum=0.99` and `epsilon=0.001`. Which PyTorch layer behaves like "
        "it?",
        [
            choice(
                "`nn.BatchNorm1d(C, momentum=0.99, eps=1e-3)`",
                "That one forgets 99 % of its statistics at each batch.",
            ),
            choice(
                "`nn.BatchNorm1d(C, momentum=0.01, eps=1e-3)`",
                "The two conventions add up to 1.",
                correct=True,
            ),
            choice(
                "`nn.BatchNorm1d(C)`, the defaults match",
                "Neither does: PyTorch's defaults are `momentum=0.1` and `eps=1e-5`.",
            ),
            choice(
                "`nn.BatchNorm1d(C, momentum=0.01)`",
                r"The memory is right now, but \(\epsilon\) is a hundred times smaller.",
            ),
        ],
    ),
    "03-single": Question(
        "Why does PyTorch refuse one value per channel in training mode, and not in eval mode?",
        [
            choice("The mean of one value is undefined.", "It is defined: the value itself."),
            choice(
                r"The variance is 0 and \(x - \mu\) is 0, so the output would be \(\beta\) "
                "whatever the input.",
                "The example would be erased. In eval mode the stored statistics are used, and "
                "one example is enough.",
                correct=True,
            ),
            choice(
                "The gradient would explode.",
                "It would be zero: the output does not depend on the input.",
            ),
        ],
    ),
    "04-removed": Question(
        "A linear layer with a bias feeds batch normalization. What gradient does that bias "
        "receive?",
        [
            choice("Zero, up to rounding.", "Right: it is the sum of grad_input.", correct=True),
            choice(
                r"The same as \(\nabla\beta\).", "That sum arrives, but its mean is removed below."
            ),
            choice(
                "It depends on the data.", "A constant added to all rows changes no output, ever."
            ),
        ],
    ),
    "04-two": Question(
        r"\(x = (3, 11)\), so \(\sigma = 4\). \(\gamma = 1\), \(\epsilon = 0\), \(g = (1, 0)\). "
        r"First entry of \(\nabla x\)?",
        answer=0.0,
        feedback={
            "right": r"Right. Moving the 3 a little leaves \(\hat{x} = (-1, 1)\) as it is.",
            "wrong": r"\(\hat{x} = (-1, 1)\). Remove the mean of \(g\), then its part along "
            r"\(\hat{x}\).",
            0.25: r"That is \(g / \sigma\): the statistics were treated as constants.",
            0.125: "One of the two components is removed, the other is still there.",
        },
    ),
    "05-place": Question(
        "The layer counts its batches in num_batches_tracked. Where does the count belong?",
        [
            choice("In a plain attribute: it is only a number.", "A resumed average needs it."),
            choice("In a buffer.", "Right: your code moves it, the file keeps it.", correct=True),
            choice("In a parameter, so that it is saved.", "No optimizer should ever find it."),
        ],
    ),
    "06-log": Question(
        "Patience 3, delta 0.001, the losses of the log at the top: after which epoch can "
        "training stop at the earliest?",
        answer=6,
        feedback={
            "right": "Epoch 3 is best. Epochs 4, 5 and 6 must all fail to improve on it. After "
            "epoch 5 the counter is 2.",
            "wrong": "Find the best epoch. The counter is 0 there, and must reach 3.",
            5: "That is what the log says. Count again: after epoch 5 only two epochs have "
            "failed to improve.",
            7: "Epoch 5 beats epoch 4, but the comparison is with the best epoch, so it does not "
            "reset the counter.",
        },
    ),
    "06-loop": Question(
        "In epoch 1 the training loss is well above the validation loss. Why?",
        [
            choice("The validation digits are easier.", "They are a random fifth of the same set."),
            choice(
                "Training digits leaked out.", "The parts are disjoint: two pieces of one order."
            ),
            choice("It is an average over the epoch.", "Right: the epoch began untrained.", True),
        ],
    ),
}
