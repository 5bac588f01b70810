"""Figures of a training: every line is labelled, and half a training can be drawn."""

from analysis.figures.training import learning_rate_curve, loss_curves, mass_over_training
from core.runs.status import TrainingLog

STEPS = TrainingLog([1, 2, 3], [3.0, 2.0, 1.0], [0.1, 0.2, 0.1], [5, 5, 5], [1.0, 2.0, 3.0], [(2, 2.5)])


def test_losses_name_their_lines_and_say_how_much_was_read():
    figure = loss_curves(STEPS, "<b>x</b>", 10)
    assert {note.text for note in figure.layout.annotations} == {"training", "validation"}
    assert "15 pairs" in figure.layout.title.subtitle.text and "&lt;b&gt;" in figure.layout.title.text
    assert list(figure.data[2].x) == [2] and STEPS.rows_per_second() == 5.0


def test_a_long_training_is_thinned_to_its_last_point():
    many = list(range(1, 5001))
    figure = loss_curves(TrainingLog(many, [1.0] * 5000, [0.1] * 5000, [1] * 5000, [float(i) for i in many]), "r")
    assert len(figure.data[0].x) < 700 and figure.data[0].x[-1] == 5000
    assert learning_rate_curve(TrainingLog(), "r").data[0].x == () and loss_curves(TrainingLog(), "r").layout.annotations == ()


def test_masses_are_percent_by_layer_and_none_without_a_prefix():
    figure = mass_over_training([{"update": 0, "mass": [0.5, 0.25]}, {"update": 4, "mass": [0.75, 0.1]}, {"update": 8}], "r")
    assert [list(row) for row in figure.data[0].z] == [[50.0, 75.0], [25.0, 10.0]] and list(figure.data[0].x) == ["0", "4"]
    assert list(figure.data[0].y) == ["layer 1", "layer 2"] and mass_over_training([{"update": 0}], "r") is None
    sites = mass_over_training([{"update": 0, "mass": [0.5, 0.25], "layers": ["encoder 1", "<b>"]}], "r")
    assert list(sites.data[0].y) == ["encoder 1", "&lt;b&gt;"]
