"""The figures of `classify`: what is drawn, also of the least that a run can tell."""

import numpy as np
import pandas as pd
import pytest

from kadanoff.estimate import Estimate
from kadanoff.learning.training import Epoch
from kadanoff.studies.classify.figures import draw_confusions, draw_curve, draw_history


class Drawn:
    """A record that keeps its figures."""

    def __init__(self):
        self.axes, self.texts = {}, {}

    def figure(self, name, figure, caption):
        assert caption[0].isupper()
        figure.canvas.draw()
        self.axes[name] = figure.axes
        self.texts[name] = [[text.get_text() for text in axis.texts] for axis in figure.axes]


@pytest.fixture
def record():
    return Drawn()


def test_history_has_a_panel_a_system_and_starts_at_the_first_epoch(record):
    epochs = [Epoch(1, 1.0, 1.2, 0.1), Epoch(2, 0.5, 0.8, 0.1)]
    draw_history(record, {"periodic": epochs, "skewed": epochs[:1]})
    left, right = record.axes["history"]
    assert [list(line.get_xdata()) for line in left.lines] == [[1, 2], [1, 2]]
    assert list(left.lines[1].get_ydata()) == [1.2, 0.8]
    assert (left.get_title(), right.get_title()) == ("periodic", "skewed")
    assert left.get_ylim()[0] == 0


def test_confusions_are_shares_of_the_true_region(record):
    table = np.diag([8, 2, 4, 0])
    table[0, 1] = 2
    draw_confusions(record, {"periodic": table})
    (texts,) = record.texts["confusions"]
    assert texts[:4] == ["80.0%\n8", "20.0%\n2", "0", "0"]
    assert texts[-4:] == ["0"] * 4  # a region without images


def curves(*points):
    return pd.DataFrame(points, columns=["start", "images", "macro_f1"])


def test_a_learning_curve_may_have_one_point_without_an_error(record):
    draw_curve(record, curves(("none", 600, Estimate(0.9, float("nan")))))
    (axis,) = record.axes["learning_curve"]
    assert [label.get_text() for label in axis.get_xticklabels()] == ["600"]
    points = [
        ("none", 40, Estimate(0.7, 0.02)),
        ("physics", 40, Estimate(0.8, 0.0)),
        ("none", 600, Estimate(0.9, 0.01)),
    ]
    draw_curve(record, curves(*points))
    (axis,) = record.axes["learning_curve"]
    assert list(axis.lines[0].get_xdata()) == [40, 600]
    assert list(axis.lines[0].get_ydata()) == [0.7, 0.9]
    legend = [text.get_text() for text in axis.get_legend().get_texts()]
    assert legend == ["initial weights: none", "initial weights: physics"]
