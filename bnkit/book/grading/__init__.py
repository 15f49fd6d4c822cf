"""Grades submissions: an answer runs in a process of its own, and another one judges it.

`fence` and `worker` are the process of the answer, `workshop` starts it and hears what it says,
`judge` makes a verdict of that, `notebook` and `preprocessor` do so in nbgrader, and `mistakes`
counts what a class got wrong.
"""
