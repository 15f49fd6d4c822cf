"""Questions for the end of each chapter, as data; a module holds those of two or three chapters."""

from bnkit.questions.bank import QUESTIONS, check_yourself
from bnkit.questions.question import Question

__all__ = ["QUESTIONS", "Question", "check_yourself"]
