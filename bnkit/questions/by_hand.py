r"""Questions on chapters 4 to 6: the gradient, the layer, training. The numbers are made up."""

from bnkit.book.quiz import choice
from bnkit.questions.question import Question

__all__ = ["QUESTIONS"]

QUESTIONS = {
    "04_backward": [
        Question(
            r"A batch of three with \( \hat{x} = (-a, 0, a) \), \( a = \sqrt{1.5} \), and "
            r"\( \epsilon = 0 \). Four backward passes return these `grad_input`. Which one can be "
            "right?",
            [
                choice(
                    r"\( (1, 1, 1) \)",
                    "Perpendicular to the normalized batch, but its sum is 3. A shift of all rows "
                    "changes no output, so nothing may point there.",
                ),
                choice(
                    r"\( (-1, 0, 1) \)",
                    "It sums to zero and points along the normalized batch: a stretch, which the "
                    "layer does not notice either.",
                ),
                choice(
                    r"\( (1, -2, 1) \)",
                    "It sums to zero and is perpendicular to the normalized batch. With three "
                    "rows this is the only direction left.",
                    correct=True,
                ),
                choice(
                    r"\( (2, -1, -1) \)",
                    "It sums to zero, so the path through the mean is there. Multiply with the "
                    "normalized batch: the path through the variance is missing.",
                ),
            ],
        ),
        Question(
            "You fine-tune with the batch normalization in eval mode. A reviewer finds "
            r"\( \nabla x = \gamma\, g / \sqrt{r_{\sigma^2} + \epsilon} \) in your code and says "
            "that two terms are missing. Is that so?",
            [
                choice(
                    "Yes: the mean of the gradient and its part along the normalized batch.",
                    "Those two come from the paths through batch mean and batch variance. Ask "
                    "whether these paths exist in this mode.",
                ),
                choice(
                    "No: running statistics are constants, so only the direct path exists.",
                    "The formula that is a bug in training mode is the exact gradient here.",
                    correct=True,
                ),
                choice(
                    "Yes, but with batches of 256 it does not matter.",
                    "The size of the batch plays no part: in eval mode each example is treated "
                    "alone. And in training the missing mean path does matter for the weights "
                    "below.",
                ),
                choice(
                    r"No, as long as \( \gamma \) and \( \beta \) are frozen too.",
                    "Freezing them removes their own gradients. What passes through to the input "
                    "is the same.",
                ),
            ],
        ),
    ],
    "05_manual_implementation": [
        Question(
            "A network has three `nn.BatchNorm1d(64)`. How many numbers do they put into the "
            "`state_dict` that no optimizer moves?",
            answer=387,
            tolerance=0.5,
            feedback={
                "right": r"\( 3 \cdot (64 + 64 + 1) \): running mean, running variance, and one "
                "counter per layer.",
                "wrong": "Per layer: two buffers with one number per feature, and one more buffer.",
                384: "`num_batches_tracked` is a buffer too, one number per layer.",
                771: "That is all that they save. `weight` and `bias` belong to the optimizer.",
                0: "Buffers are in the file. A file without them would evaluate with 0 and 1.",
                192: "One vector per layer. A mean and a variance are remembered.",
            },
        ),
        Question(
            "A hand-written layer keeps `running_mean` as "
            "`nn.Parameter(..., requires_grad=False)`. Training, saving and loading work. What is "
            "the first thing to go wrong?",
            [
                choice(
                    "The first `optimizer.step()` moves it.",
                    "It never gets a gradient, and PyTorch's optimizers skip a parameter whose "
                    "gradient is `None`, weight decay included.",
                ),
                choice(
                    "Loading weights from PyTorch's layer, because the keys differ.",
                    "A `state_dict` lists parameters and buffers by name alone. The keys agree.",
                ),
                choice(
                    "Nothing: without a gradient it is a buffer by another name.",
                    "It is in `parameters()`, and whoever loops over those counts, clips, "
                    "averages or unfreezes it.",
                ),
                choice(
                    "Someone unfreezes the network with `requires_grad_(True)` and trains on in "
                    "eval mode.",
                    "In eval mode the output depends on it, so now it has a gradient, and the "
                    "optimizer trains a statistic.",
                    correct=True,
                ),
            ],
        ),
    ],
    "06_mnist_early_stopping": [
        Question(
            "A validation set of 400 images comes in a batch of 300 with mean loss 0.20 and a "
            "batch of 100 with mean loss 0.60. What is the loss of the set?",
            answer=0.3,
            tolerance=0.001,
            feedback={
                "right": r"\( (300 \cdot 0.20 + 100 \cdot 0.60) / 400 \): each image counts once.",
                "wrong": "Sum the losses of all images, then divide by the number of images.",
                0.4: "The mean of the two means. The 100 images got half of the weight.",
                0.5: "The two weights are exchanged.",
                0.8: "That is the sum of the two means.",
            },
        ),
        Question(
            "A run (made up) stops after epoch 11. The stopper reports a best loss of 0.083 at "
            "epoch 8. After `restore` the validation loss is 0.090, to the last digit that of "
            "epoch 11. Why?",
            [
                choice(
                    "Two evaluations of one network differ a little.",
                    "In eval mode on the same data they agree. And noise would not hit the value "
                    "of epoch 11 exactly.",
                ),
                choice(
                    "With `delta` above 0 the epoch that is kept need not be the lowest.",
                    "The kept epoch may miss the lowest loss, but `best_loss` is the loss of the "
                    "kept one, and that is not what came back.",
                ),
                choice(
                    "The stopper stored `model.state_dict()` without a copy.",
                    "It kept the live tensors, and the optimizer went on writing into them for "
                    "three epochs.",
                    correct=True,
                ),
                choice(
                    "The running statistics were restored, the weights were not.",
                    "That is a network that never existed. Its loss would be a new number, not "
                    "that of epoch 11.",
                ),
            ],
        ),
    ],
}
