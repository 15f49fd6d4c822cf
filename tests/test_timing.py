"""Times as ratios within one run."""

from torch import nn

from bnkit.book.timing import times_as_long


def test_each_layer_has_a_ratio_for_each_round_and_shape():
    shapes = [(4, 2), (8, 2)]
    ratios = times_as_long({"itself": nn.BatchNorm1d}, nn.BatchNorm1d, shapes, rounds=2)
    assert list(ratios) == ["itself, (4, 2)", "itself, (8, 2)"]
    assert all(len(found) == 2 and min(found) > 0 for found in ratios.values())
