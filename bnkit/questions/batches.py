r"""Questions on chapters 10 to 12: why it works, batch size, mismatch. The numbers are made up."""

from bnkit.book.quiz import choice
from bnkit.questions.question import Question

__all__ = ["QUESTIONS"]

QUESTIONS = {
    "10_why_it_works": [
        Question(
            "In a deep stack the squared gradient norm grows by about 1.5 for each layer on the "
            "way back. After how many layers has it grown a thousandfold?",
            answer=17,
            tolerance=0.6,
            feedback={
                "right": r"\( 1.5^{17} \approx 1000 \). At depth 50 it is nearly a billion, hence "
                "the trouble there.",
                "wrong": r"Factors multiply: \( 1.5^k = 1000 \). Take logarithms.",
                667: "That divides 1000 by 1.5. Each layer multiplies what the one behind it "
                "passes on.",
                34: "That is for the norm itself. Its square grows twice as fast on a logarithmic "
                "scale.",
            },
        ),
        Question(
            "With BN a network has less internal covariate shift and a smoother loss. A colleague "
            "concludes that the smaller shift causes the smoothness. What do you say?",
            [
                choice(
                    "That follows: both were measured with and without BN.",
                    "Both change together. Which is cause, which is effect, or whether BN causes "
                    "both, such a pair cannot tell.",
                ),
                choice(
                    "It is refuted: batch normalization does not reduce the shift.",
                    "By the measure of this chapter it does, in this network. Others found no "
                    "reduction in theirs.",
                ),
                choice(
                    "It is open: a smooth loss makes the shift small as well. Change one of the "
                    "two alone.",
                    "A gradient that changes little under any step changes little when the lower "
                    "layers move. Only a control separates the two.",
                    correct=True,
                ),
                choice(
                    "It is settled by the theory for one layer.",
                    "That proof is about the loss and its gradient with respect to one layer. It "
                    "says nothing about this cause.",
                ),
            ],
        ),
    ],
    "11_batch_size": [
        Question(
            "Batches of 4 have on average three quarters of the true variance. Suppose each batch "
            "had exactly that. By which factor are normalized values larger in training than in "
            "evaluation?",
            answer=1.1547,
            tolerance=0.01,
            feedback={
                "right": r"\( \sqrt{4/3} \). Training divides by too small a standard deviation, "
                "evaluation, with the unbiased running variance, by the right one.",
                "wrong": "Training divides by the root of three quarters of the variance, "
                "evaluation by the root of all of it.",
                1.3333: "That is the ratio of the variances. The layer divides by their roots.",
                0.866: "The wrong way round: a smaller divisor makes values larger.",
                1: "The running variance is unbiased, the batch that normalizes is not. The modes "
                "differ.",
            },
        ),
        Question(
            "You fine-tune a pretrained detector with two images a batch. The new images have "
            "another contrast. What do you do with its batch normalization?",
            [
                choice(
                    "Collect its statistics anew on some new images, then freeze it.",
                    "No labels are needed, one large forward pass is enough, and two images a "
                    "batch do no more harm.",
                    correct=True,
                ),
                choice(
                    "Freeze it at once: that is the rule for small batches.",
                    "It would apply the mean and the spread of the old images to the new ones, "
                    "and all other layers would have to work around that.",
                ),
                choice(
                    "Leave it in training mode, so that it adapts.",
                    "It adapts to two images at a time. Their noise is in every step.",
                ),
                choice(
                    "Accumulate gradients over 16 batches.",
                    "Each of the 16 is still normalized by its own two images.",
                ),
            ],
        ),
    ],
    "12_train_test_mismatch": [
        Question(
            "After 100 steps (made up) the training loss is 0.3 and the validation accuracy 20 %. "
            "The layers use `momentum=0.001`. Statistics recomputed on training images give 88 %. "
            "What helps?",
            [
                choice(
                    "Train longer: the network learns slowly.",
                    "The weights are good already, as the 88 % say. What is slow are the stored "
                    "statistics.",
                ),
                choice(
                    "A smaller momentum, so that the statistics are less noisy.",
                    "They lag. A smaller one gives them a still longer memory, of networks that "
                    "are gone.",
                ),
                choice(
                    "Regularize: 20 % against a loss of 0.3 is overfitting.",
                    "The same weights reach 88 % on the same validation images. Nothing was "
                    "memorized.",
                ),
                choice(
                    "A larger momentum, or recomputed statistics before each evaluation.",
                    "Evaluation reads numbers from the first steps. Either way it gets those of "
                    "the network as it is.",
                    correct=True,
                ),
            ],
        ),
        Question(
            "Scans come from five clinics, each with its own brightness. Every training batch "
            "holds scans of one clinic. What do you expect?",
            [
                choice(
                    "Nothing special: the running statistics average over the clinics.",
                    "They average the means. A single clinic still lies off that center, and the "
                    "spread between the clinics is missing from the running variance.",
                ),
                choice(
                    "In training the brightness of a clinic is subtracted, in evaluation it is "
                    "not.",
                    "So the network learns on scans without it and is tested on scans with it. "
                    "Mix the clinics in each batch.",
                    correct=True,
                ),
                choice(
                    "In both modes the layer removes the brightness of each clinic.",
                    "In evaluation one stored mean serves all. It cannot be right for five.",
                ),
                choice(
                    "Training fails, as with batches of one class.",
                    "There the common part was the answer itself. Here it is the brightness, and "
                    "training can do without.",
                ),
            ],
        ),
    ],
}
