import csv
import math

from bnkit.training.history import History


def table(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def test_best_epoch_has_the_lowest_validation_loss():
    history = History()
    for loss in [0.5, 0.3, 0.4]:
        history.record(loss, (loss, 0.9))
    assert history.best_epoch == 2


def test_best_epoch_is_the_one_that_early_stopping_kept():
    history = History()
    for loss, kept in [(0.5, True), (0.499, False)]:
        history.record(loss, (loss, 0.9), kept)
    assert history.best_epoch == 1


def test_a_nan_loss_is_never_best_nor_hides_a_later_best():
    history = History()
    history.record(1.0, (math.nan, 0.1))
    assert history.best_epoch is None
    history.record(1.0, (0.5, 0.9))
    assert history.best_epoch == 2


def test_csv_has_a_line_an_epoch(tmp_path):
    history = History()
    history.record(0.5, (0.25, 0.875))
    history.record(0.1, (1 / 3, 0.9))
    history.to_csv(tmp_path / "run.csv")
    header, first, second = table(tmp_path / "run.csv")
    assert header == ["epoch", "train_loss", "val_loss", "val_accuracy"]
    assert first == ["1", "0.5", "0.25", "0.875"] and float(second[2]) == 1 / 3


def test_csv_without_validation_has_no_empty_columns(tmp_path):
    history = History()
    history.record(0.5, None)
    history.to_csv(tmp_path / "run.csv")
    assert table(tmp_path / "run.csv") == [["epoch", "train_loss"], ["1", "0.5"]]
    assert history.best_epoch is None
