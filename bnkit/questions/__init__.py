"""The questions of the book, as data: those that close a chapter and those in its text."""

from bnkit.questions.bank import QUESTIONS, check_yourself
from bnkit.questions.in_text import IN_TEXT, ask
from bnkit.questions.question import Question

__all__ = ["IN_TEXT", "QUESTIONS", "Question", "ask", "check_yourself"]
