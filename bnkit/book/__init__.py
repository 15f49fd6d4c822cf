"""What makes the chapters: widgets, questions, exercises and their checks, claims, figures.

One file per chapter, `ch01` to `ch17`, holds what only that chapter has. Nothing outside this
folder imports it but chapters, tests and the scripts that build the book.
"""
