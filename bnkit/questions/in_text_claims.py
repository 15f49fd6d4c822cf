"""Questions in the text of chapters 7 to 12, each where it arises."""

from bnkit.book.quiz import choice
from bnkit.questions.question import Question

__all__ = ["IN_TEXT"]

IN_TEXT = {
    "07-brake": Question(
        r"You start from \(10\,w\), with the same rate. How many times smaller is the tangent of "
        "the first turn?",
        answer=100,
        feedback={
            "right": "A 10 times smaller gradient turns a 10 times longer vector.",
            "wrong": r"The tangent is \(\eta \lVert \nabla L \rVert / \lVert w \rVert\). Both "
            "change.",
            10: "That counts the smaller gradient, or the longer vector. It is both.",
        },
    ),
    "08-rate": Question(
        "You start all weights before a batch norm 5 times larger. By which factor must their "
        "learning rate grow, with SGD, so that training runs as before?",
        answer=25,
        feedback={
            "right": "The gradient is 5 times smaller, and the way to go is 5 times longer.",
            "wrong": "Two effects multiply: how the gradient changes, and how far it is to go.",
            5: "That makes up for the smaller gradient. But it also takes a longer step to turn.",
        },
    ),
    "09-noise": Question(
        r"Of a huge data set, which batch size gives the mean an error of \(\sigma / 10\)?",
        [
            choice(
                "10", r"The error falls with the square root: \(1/\sqrt{10}\) is about a third."
            ),
            choice("100", r"\(1/\sqrt{100} = 1/10\).", correct=True),
            choice("200", r"That is for the variance of a Gaussian, \(\sqrt{2/N}\)."),
        ],
    ),
    "10-logic": Question(
        'Which observation speaks most directly against "BN works because the inputs of each layer '
        'keep their distribution"?',
        [
            choice(
                "The loss along the gradient is smoother with BN.",
                "That supports another explanation. Both could be true together.",
            ),
            choice(
                "With random shifts after BN, training is nearly as good.",
                "The supposed cause is removed, and the effect stays.",
                correct=True,
            ),
            choice(
                "The shift measured with BN is smaller.",
                "That agrees with the explanation; it is what one would expect if it were true.",
            ),
            choice(
                "Transformers use layer normalization.",
                "True, but it says nothing about why BN works where it is used.",
            ),
        ],
    ),
    "10-plateau": Question(
        "A colleague compares two networks after 50 steps each and finds the plain one smoother. "
        "Its loss is still 2.30, which is ln 10. What do you say?",
        [
            choice(
                "BN does not smooth the loss in this network.",
                "The plain network has not started to learn. You have not compared like with like.",
            ),
            choice(
                "Compare at equal loss.",
                "At ln 10 it guesses. Plateaus are smooth, and useless.",
                correct=True,
            ),
            choice("Use more seeds.", "More seeds make the wrong comparison more precise."),
        ],
    ),
    "11-remainder": Question(
        'Training on 4,097 images in batches of 64 ends with "Expected more than 1 value per '
        'channel". Why?',
        [
            choice("The last batch has a single row.", "64 · 64 = 4,096 leaves one.", correct=True),
            choice(
                "64 is too small for batch normalization.", "With 64 rows the layer works well."
            ),
            choice(
                "A batch holds two equal rows.",
                "Variance 0 is fine: epsilon keeps the quotient finite.",
            ),
        ],
    ),
    "11-memory": Question(
        "Your memory holds two images at a time and you train from scratch. What helps?",
        [
            choice(
                "Accumulate gradients over 16 batches.",
                "Each is still normalized over its own two.",
            ),
            choice(
                "Group normalization, trained from the start.",
                "It never looks at other images.",
                correct=True,
            ),
            choice("Ghost batches of two.", "That is what you have already."),
        ],
    ),
    "12-variances": Question(
        "Two batches, [0, 2] and [10, 12]: what is the biased variance of all four numbers?",
        [
            choice("1", "That is the part within the batches, all that batch normalization sees."),
            choice("25", "That is the part between the batches alone."),
            choice("26", "1 within the batches and 25 between them.", correct=True),
        ],
    ),
    "12-shift": Question(
        "Which change can re-estimated statistics not undo?",
        [
            choice("Contrast doubled, x to 2x.", "The factor 2 goes with the standard deviation."),
            choice("Gray veil, x to 0.5 x + 0.5.", "An affine map with a positive factor."),
            choice(
                "Half the digits inverted.",
                "No single sign fits: the units mix both.",
                correct=True,
            ),
            choice("Everything 0.2 darker, without clipping.", "A constant goes with the mean."),
        ],
    ),
}
