"""The parts of which outputs are made."""

from bnkit.book.page import markdown_table, prose


def test_a_table_has_a_line_for_its_heads_and_one_for_each_row():
    table = markdown_table(["norm", "rate"], [["batch", 0.1], ["group", 0.03]]).data
    assert table.splitlines() == [
        "| norm | rate |",
        "|---|---|",
        "| batch | 0.1 |",
        "| group | 0.03 |",
    ]


def test_code_and_mathematics_may_stand_in_a_line_and_nothing_else_is_html():
    line = prose(r"is `a < b`, or <b> \( x^2 \)?")
    assert "is <code>a &lt; b</code>, or &lt;b&gt; \\( x^2 \\)?" in line
