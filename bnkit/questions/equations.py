r"""Questions on chapters 1 to 3: why, the equations, the two modes. The numbers are made up."""

from bnkit.book.quiz import choice
from bnkit.questions.question import Question

__all__ = ["QUESTIONS"]

QUESTIONS = {
    "01_why_normalize": [
        Question(
            "An untrained network gives 256 different digits the same logits to four decimals. "
            "There is no `nan`, and at every layer the root mean square is between 0.3 and 1. "
            "What do you look at next?",
            [
                choice(
                    "Each unit's standard deviation over the examples, layer by layer.",
                    "That is the signal. The numbers are of a healthy size; the question is where "
                    "they stop differing from digit to digit.",
                    correct=True,
                ),
                choice(
                    "The data loader: sizes are healthy, so it must repeat one image.",
                    "The size is made of what all digits share as well. It can stay near 1 while "
                    "the differences die.",
                ),
                choice(
                    "The learning rate, which is too high.",
                    "No step has been taken yet. This network was born this way.",
                ),
                choice(
                    "The scale of all weights: double it until the logits differ.",
                    "A factor on every layer stretches the common part just as much as the "
                    "difference. Their ratio stays.",
                ),
            ],
        ),
        Question(
            r"You standardize pixels with the training statistics and \( \epsilon = 0.01 \). One "
            "pixel is 0 in all training images and 1 in a test image. What does it become there?",
            answer=10.0,
            feedback={
                "right": r"\( (1 - 0) / \sqrt{0 + 0.01} \). A faint feature that wakes up at test "
                "time becomes large, and epsilon alone says how large.",
                "wrong": "Mean and variance of that pixel are 0. Put both, and the 1, into "
                r"\( (x - \mu) / \sqrt{\sigma^2 + \epsilon} \).",
                100: r"You divided by \( \epsilon \). It stands under the root.",
                0: "A feature that never varied gives 0 as long as it stays at its mean. Here it "
                "does not.",
                1: "Dividing by 1 would leave it alone. The variance is 0, not 1.",
            },
        ),
    ],
    "02_equations": [
        Question(
            r"A batch of two, one feature: \( x = (2, 10) \). With \( \gamma = 2 \), "
            r"\( \beta = 1 \) and \( \epsilon = 0 \), what is the second output?",
            answer=3.0,
            feedback={
                "right": r"\( \mu = 6 \) and \( \sigma = 4 \), so \( \hat{x} = 1 \) and "
                r"\( y = 2 \cdot 1 + 1 \). The distance between the two did not matter.",
                "wrong": "In this order: mean, biased variance, its root, divide, scale, shift.",
                2.414: r"That is the unbiased variance, 32. It makes \( \hat{x} = 0.707 \).",
                4: r"You added \( \beta \) before you multiplied by \( \gamma \).",
                2: r"\( \gamma \hat{x} \) alone. The shift is missing.",
                1.5: "You divided by the variance, 16. The layer divides by its root.",
            },
        ),
        Question(
            "In float32 a home-made layer returns `nan` for one feature. Its values lie near "
            "20,000, and their true variance is about 1. Which cause fits?",
            [
                choice(
                    r"\( \epsilon \) is too small.",
                    "It guards against a variance of 0. Here the true one is 1, and no usual "
                    "epsilon could repair what was computed instead.",
                ),
                choice(
                    "The variance is computed as `(x**2).mean(0) - x.mean(0)**2`.",
                    r"Both terms are near \( 4 \cdot 10^8 \), where neighboring float32 numbers "
                    "are 32 apart. The difference is rounding, and may be negative under the "
                    "root.",
                    correct=True,
                ),
                choice(
                    r"Squares near \( 4 \cdot 10^8 \) overflow float32.",
                    r"float32 reaches beyond \( 10^{38} \). What runs out is not range but digits.",
                ),
                choice(
                    r"\( \gamma \) is negative.",
                    "It only mirrors the output. It comes after the root.",
                ),
            ],
        ),
    ],
    "03_two_modes": [
        Question(
            "One channel, a batch of 4 values with biased variance 6. `running_var` is 1 and "
            "PyTorch's `momentum` is 0.1. What is `running_var` after this batch?",
            answer=1.7,
            feedback={
                "right": r"\( 0.9 \cdot 1 + 0.1 \cdot \frac{4}{3} \cdot 6 \): the unbiased 8 is "
                "stored, though the batch was normalized with 6.",
                "wrong": "Turn the biased variance into the unbiased one, then move a tenth of "
                "the way from 1 towards it.",
                1.5: "That stores the biased variance. Averaged over many batches it stays too "
                "small.",
                7.3: "Momentum on the wrong side: in PyTorch 0.1 is the weight of the new value.",
                5.5: "Two slips: momentum on the wrong side, and the biased variance.",
                0.8: "That is the new value's share. The old value keeps nine tenths of its own.",
            },
        ),
        Question(
            "You run the test set twice under `torch.no_grad()`, the same batches in the same "
            "order, but without `eval()`. What differs between the two runs?",
            [
                choice(
                    "The accuracy, because the running statistics have moved.",
                    "They have moved, but in training mode nobody reads them: each batch is "
                    "normalized with its own mean and variance.",
                ),
                choice(
                    "The accuracy, because batch statistics are random.",
                    "They are a function of the batch. What is random is which examples share "
                    "one, and here that is fixed.",
                ),
                choice(
                    "Nothing: `no_grad` leaves the model as it is.",
                    "It stops autograd from recording. Buffers are updated without autograd.",
                ),
                choice(
                    "The running statistics, and not the accuracy.",
                    "So two equal results prove nothing about the mode. Print `running_mean` "
                    "before and after, or shuffle the batches.",
                    correct=True,
                ),
            ],
        ),
    ],
}
