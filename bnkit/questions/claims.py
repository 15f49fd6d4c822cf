r"""Questions on chapters 7 to 9: speed, initialization, regularization. The numbers are made up."""

from bnkit.book.quiz import choice
from bnkit.questions.question import Question

__all__ = ["QUESTIONS"]

QUESTIONS = {
    "07_speed_and_learning_rate": [
        Question(
            "A post shows that a network with batch normalization reaches 95 % in 2 epochs and "
            "the plain one in 9. Both ran at learning rate 0.1, which was tuned on the normalized "
            "one. What does this show?",
            [
                choice(
                    "BN makes training 4.5 times as fast.",
                    "At a rate that was chosen for one side. The plain network may want another, "
                    "and another start of its weights.",
                ),
                choice(
                    "It is a fair result, since both had the same rate.",
                    "The same number is not the same treatment: each network has a rate that "
                    "suits it.",
                ),
                choice(
                    "How BN fares against a plain network at a rate that nobody tuned for it.",
                    "Give each side its best rate, and good initial weights, before you count "
                    "epochs.",
                    correct=True,
                ),
                choice(
                    "Nothing yet, until it is repeated with more seeds.",
                    "More seeds make the same comparison more precise, not more fair.",
                ),
            ],
        ),
        Question(
            "A weight vector in front of batch normalization has length 3. Its gradient has "
            r"length 4, and \( \eta = 1 \). How long is the vector after one step of plain "
            "gradient descent?",
            answer=5.0,
            feedback={
                "right": "The gradient is perpendicular to the weights, so the squares add: 9 + "
                "16. A wild step makes the vector long, and the next gradients small.",
                "wrong": "In which direction does this gradient point, seen from the weight "
                "vector?",
                7: "That adds the lengths, as if the gradient pointed along the weights. It has "
                "no part in that direction.",
                1: "That subtracts the lengths. A perpendicular step cannot shorten a vector.",
                3: "The output ignores the length of the vector. The step does not: it changes it.",
            },
        ),
    ],
    "08_initialization": [
        Question(
            "Weight decay halves the length of a weight vector in front of batch normalization, "
            "and its direction stays. By which factor does its effective learning rate under SGD "
            "change?",
            answer=4,
            tolerance=0.04,
            feedback={
                "right": r"\( \eta / \lVert w \rVert^2 \): the gradient doubles, and there is half "
                "as far to go.",
                "wrong": r"The effective learning rate is \( \eta / \lVert w \rVert^2 \).",
                2: "That counts the larger gradient alone. The same step also turns a shorter "
                "vector further.",
                0.25: "The wrong way round: shorter weights turn faster.",
                1: "The output does not change. The way in which the next steps turn the weights "
                "does.",
            },
        ),
        Question(
            "You drop weight decay from the weights in front of batch normalization and keep the "
            "learning rate. After many epochs progress stalls, though the loss is not low and the "
            "activations look as before. What has happened?",
            [
                choice(
                    "The weights have grown large, and large weights overfit.",
                    "In front of a normalization their length does not change the function, so it "
                    "cannot overfit.",
                ),
                choice(
                    "The activations saturate and pass no gradient.",
                    "They are normalized, and they look as before.",
                ),
                choice(
                    "Without decay the initialization shows through again.",
                    "The scale of the start is forgotten in the output. What counts is the length "
                    "now.",
                ),
                choice(
                    "The weights have grown, and turn less and less with each step.",
                    "Every step adds to the length and none takes away. Lengthening the weights "
                    "is a learning rate schedule that nobody wrote down.",
                    correct=True,
                ),
            ],
        ),
    ],
    "09_regularization": [
        Question(
            "To find out whether batch noise regularizes, a colleague trains with batches of 16 "
            "and of 512 and compares test accuracies. What is the flaw?",
            [
                choice(
                    "None: the larger batch has less noise in its statistics.",
                    "It has. It also has fewer steps and a less noisy gradient, and you cannot "
                    "tell which of the three did it.",
                ),
                choice(
                    "Three things change. Keep the batch and take the statistics over groups "
                    "within it.",
                    "Groups of 16 inside the batch of 512 change the statistics alone.",
                    correct=True,
                ),
                choice(
                    "The noise should be measured in eval mode.",
                    "In eval mode the statistics are constants. There is no noise to measure.",
                ),
                choice(
                    "The learning rate should be the same for both.",
                    "It should be good for each. And even then the number of steps differs.",
                ),
            ],
        ),
        Question(
            "A unit takes the values 0 and 2 equally often, so its variance is 1. Dropout with p "
            "= 0.5 is put in front of the batch normalization that receives it. Which variance "
            "does the layer see in training?",
            answer=3.0,
            feedback={
                "right": "Dropped or doubled, the values are 0, 0, 0 and 4: mean 1, mean square "
                "4. At test time the true variance is 1, and the stored one is 3.",
                "wrong": "List the four equally likely values: each is dropped, or doubled.",
                1: "The mean is kept. The variance is not: values of 0 and 4 lie further apart.",
                4: "That is the mean square, or the doubled values without the dropped ones. Take "
                "the mean of 1 into account.",
                2: r"That is the increase, \( \frac{p}{1-p} \mathrm{E}[x^2] \). Add it to what was "
                "there.",
            },
        ),
    ],
}
