"""The parts of which outputs are made."""

from bnkit.book.page import markdown_table


def test_a_table_has_a_line_for_its_heads_and_one_for_each_row():
    table = markdown_table(["norm", "rate"], [["batch", 0.1], ["group", 0.03]]).data
    assert table.splitlines() == [
        "| norm | rate |",
        "|---|---|",
        "| batch | 0.1 |",
        "| group | 0.03 |",
    ]
