r"""Questions on chapters 15 to 17: inference, clinic, many machines. The numbers are made up."""

from bnkit.book.quiz import choice
from bnkit.questions.question import Question

__all__ = ["QUESTIONS"]

QUESTIONS = {
    "15_inference": [
        Question(
            "You fold a network. The outputs differ by one thousandth in float32, and by the same "
            "thousandth in float64. What follows?",
            [
                choice(
                    "It is rounding: folding multiplies in another order.",
                    "Rounding shrinks when the format has more digits. This difference did not.",
                ),
                choice(
                    "The formula is wrong somewhere, perhaps an epsilon left out.",
                    "An error that ignores the precision is not made by it.",
                    correct=True,
                ),
                choice(
                    "Nothing: folding is an approximation anyway.",
                    "It is an identity. Only the last digits of the format may differ.",
                ),
                choice(
                    "The network was trained in float32, so no better agreement exists.",
                    "Both networks hold the same numbers, however they were found. In float64 "
                    "they agree to about 15 digits.",
                ),
            ],
        ),
        Question(
            "A Transformer has LayerNorm followed by a linear layer. What of the LayerNorm can be "
            "folded into that layer for inference?",
            [
                choice(
                    "Nothing: it must see each token.",
                    "Its mean and variance must. Its learned scale and shift are constants.",
                ),
                choice(
                    "All of it, as with batch normalization in eval mode.",
                    "There the statistics are constants. Here they belong to the token at hand.",
                ),
                choice(
                    r"Its \( \gamma \) and \( \beta \). The statistics stay.",
                    r"\( W (\gamma \hat{x} + \beta) + b \) is a linear layer on \( \hat{x} \), "
                    r"with scaled columns. Computing \( \hat{x} \) remains.",
                    correct=True,
                ),
                choice(
                    "All of it, once running averages of its statistics are kept.",
                    "That would be another function: each token would be scaled by the average "
                    "token.",
                ),
            ],
        ),
    ],
    "16_capstone": [
        Question(
            "A served network (made up) has 12 % in eval mode, 90 % with batch statistics, and 91 "
            "% after its statistics are recomputed. Which of these cannot be the cause?",
            [
                choice(
                    "The running statistics were plain attributes and never saved.",
                    "That fits: the server evaluates with mean 0 and variance 1, and the weights "
                    "are fine.",
                ),
                choice(
                    "All training batches held one class each.",
                    "Then the weights are poor, and no statistics bring back 91 %.",
                    correct=True,
                ),
                choice(
                    "`momentum=0.99`, and a short last batch.",
                    "That fits: the statistics are those of a few examples, and the weights are "
                    "fine.",
                ),
                choice(
                    "Buffers of a model for other data were loaded.",
                    "That fits: wrong numbers are stored, and fresh ones cure it.",
                ),
            ],
        ),
        Question(
            "A home-made layer updates its running statistics in eval mode as well. Which two "
            "things that should be equal are not?",
            [
                choice(
                    "Its outputs and PyTorch's in training mode, on a batch of two.",
                    "In training mode it does the right thing.",
                ),
                choice(
                    "Its gradient and finite differences, in training mode.",
                    "The mistake is in what it remembers, not in what it differentiates.",
                ),
                choice(
                    "The buffers before and after a batch in eval mode.",
                    "The file of a served model would change with every request, and so would its "
                    "answers.",
                    correct=True,
                ),
                choice(
                    "The keys of its `state_dict` and those of PyTorch's layer.",
                    "It may have all the right buffers. It only writes into them at the wrong "
                    "time.",
                ),
            ],
        ),
    ],
    "17_many_machines": [
        Question(
            "Process 0 holds the values 2, 2, 2 of a channel, process 1 the single value 10. What "
            "is the biased variance of all four?",
            answer=12.0,
            feedback={
                "right": r"The mean is 4, and \( (3 \cdot 2^2 + 1 \cdot 6^2) / 4 = 12 \). Within "
                "the processes nothing varies: all of it lies between them.",
                "wrong": "First the mean of the four values. Then the squared distances from it, "
                "each value counted once.",
                0: "That averages the two variances. The distance between the means is lost.",
                16: "That weights both processes alike, with a mean of 6. Process 0 has three of "
                "the four values.",
            },
        ),
        Question(
            "Eight processes with 4 images each train under plain DDP, without synchronized "
            "statistics. What is the same as in one process with a batch of 32?",
            [
                choice(
                    "The gradient, because DDP averages it over the processes.",
                    "It averages gradients of eight functions, each normalized by its own 4 "
                    "images. The average is not the gradient of the batch of 32.",
                ),
                choice(
                    "The running statistics, because DDP averages buffers.",
                    "It does not average them: it broadcasts those of rank 0, which has seen an "
                    "eighth of the images.",
                ),
                choice(
                    "Everything: DDP makes eight processes equal to one.",
                    "That holds for layers that treat each example alone.",
                ),
                choice(
                    "For the batch normalization, none of these.",
                    "Statistics are over 4 images, the gradients follow from them, and the "
                    "running statistics are those of rank 0.",
                    correct=True,
                ),
            ],
        ),
    ],
}
