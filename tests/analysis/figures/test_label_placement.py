"""Labels beside points of a figure."""

import math

import numpy as np

from analysis.figures.label_placement import place_labels


def test_a_label_does_not_stand_beside_another_point():
    px = np.array([[100.0, 100.0], [100.0, 84.0]])
    taken = [(-math.inf, 99.0, -math.inf, math.inf), (-math.inf, math.inf, 100.0, math.inf)]  # on the left, and above
    # Below on the right there is room for the upper one's label, but there it is the lower one's.
    assert place_labels(px, [0, 1], ["upper", "lower"], False, taken) == [None, "middle right"]
    assert place_labels(px, [0], ["upper"], False, taken) == ["bottom right"]
