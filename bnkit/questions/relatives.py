r"""Questions on chapters 13 and 14: relatives and architectures. The numbers are made up."""

from bnkit.book.quiz import choice
from bnkit.questions.question import Question

__all__ = ["QUESTIONS"]

QUESTIONS = {
    "13_alternatives": [
        Question(
            r"One example with two features, \( x = (3, 4) \). RMS normalization with "
            r"\( \epsilon = 0 \) and \( \gamma = 1 \): what is the first output?",
            answer=0.8485,
            tolerance=0.002,
            feedback={
                "right": r"\( 3 / \sqrt{(9 + 16) / 2} \). Nothing is subtracted, so the sign and "
                "the ratio 3 : 4 stay.",
                "wrong": "Divide by the root of the mean of the squares. Subtract nothing.",
                -1: "That is layer normalization: it subtracts the mean of 3.5 first.",
                0.6: "That divides by the length of the vector, 5. The mean square has a 2 under "
                "it.",
            },
        ),
        Question(
            "A convolutional classifier ends with conv, `BatchNorm2d`, average over all "
            "positions, linear layer. Someone puts `InstanceNorm2d(affine=True)` in the place of "
            "that batch normalization. What happens?",
            [
                choice(
                    "Little: it normalizes the same channels, one image at a time.",
                    "It also makes the mean of each channel the same for every image. Ask what "
                    "the next layer computes.",
                ),
                choice(
                    "The network becomes blind to contrast, and works otherwise.",
                    "It becomes blind to more than that: the average over positions is all that "
                    "the classifier gets.",
                ),
                choice(
                    "PyTorch refuses, as for a batch of one.",
                    "It refuses when a channel has a single value. Here each has many positions.",
                ),
                choice(
                    r"The linear layer receives \( \beta \), whatever the image.",
                    "Each channel of each image has mean 0 before the affine part. The average "
                    "over positions returns exactly that mean.",
                    correct=True,
                ),
            ],
        ),
    ],
    "14_architectures": [
        Question(
            "Four residual blocks normalize the stream after each addition. By the arithmetic of "
            "this chapter, which percentage of the stream does the input hold at the end?",
            answer=6.25,
            feedback={
                "right": r"\( (1/2)^4 \). Each block adds a part of variance 1, and each "
                "normalization halves all that was there.",
                "wrong": "After one block the input holds one half. What does the next "
                "normalization do with that half?",
                20: r"\( 1 / (4 + 1) \) is for normalization inside the branch, before the "
                "addition.",
                12.5: "That is after three blocks.",
                0.0625: "That is the share. The question asks for a percentage.",
                50: "That is after one block. Every further one halves again.",
            },
        ),
        Question(
            "The order is linear, batch normalization, ReLU. Can a unit still be dead in "
            "training, that is, give 0 for every example of every batch?",
            [
                choice(
                    "No: normalized values always lie on both sides of 0.",
                    r"They do, before \( \gamma \) and \( \beta \). The ReLU sees what comes after "
                    "them.",
                ),
                choice(
                    r"Yes, if \( \beta \) is negative enough against \( \gamma \).",
                    r"Normalized values of a batch of N never exceed \( \sqrt{N-1} \). A shift far "
                    "enough below zero silences them all.",
                    correct=True,
                ),
                choice(
                    "Yes, if the bias of the linear layer is very negative.",
                    "The mean takes a constant out again, however large it is.",
                ),
                choice(
                    "Only in eval mode, when the statistics are old.",
                    "Old statistics can silence a unit in eval mode. The affine part can do it in "
                    "both modes.",
                ),
            ],
        ),
    ],
}
