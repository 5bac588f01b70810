"""TER's edits as sacrebleu counts them, following tercom: the same numbers in a fraction of the time.

Words become characters, so that a shift is slicing, and rapidfuzz gives a lower bound of the distance after each shift. The
exact distance is searched in a band around the diagonal, so it can be larger: it is computed for the best shifts only.
"""

import math
from collections.abc import Iterator

from rapidfuzz.distance import Levenshtein

_MAX_SHIFT_SIZE, _MAX_SHIFT_DISTANCE, _MAX_CANDIDATES, _BAND = 10, 50, 1000, 25
_FAR = 1 << 40  # outside the band

Rows = list[list[int]]
Shift = tuple[int, int, int]  # start, length, target


def edit_count(output: list[str], reference: list[str]) -> int:
    """Return the fewest insertions, deletions, substitutions and shifts of words that tercom's greedy search finds."""
    if not output or not reference or output == reference:
        return abs(len(output) - len(reference))
    letters = {word: chr(number) for number, word in enumerate(dict.fromkeys([*output, *reference]), 0x10000)}
    text, goal = ("".join(letters[word] for word in words) for words in (output, reference))
    rows, shifts, tried = _distances(text, goal), 0, 0
    while True:
        shifts_here = list(_shifts(text, goal, rows))
        tried += len(shifts_here)
        if tried >= _MAX_CANDIDATES or (best := _best(text, goal, shifts_here, rows[-1][-1])) is None:
            return shifts + rows[-1][-1]
        text, rows = best
        shifts += 1


def _best(text: str, goal: str, shifts: list[Shift], distance: int) -> tuple[str, Rows] | None:
    """Return the shifted text with the fewest edits and its distances; None if no shift has fewer edits than `distance`.

    Of equals, the longest shift counts, then the earliest start, then the earliest target.
    """
    ranked = []
    for start, length, target in shifts:
        shifted = _shifted(text, start, length, target)
        least = Levenshtein.distance(shifted, goal, score_cutoff=distance - 1)
        if least < distance:
            ranked.append((least, -length, start, target, shifted))
    best, result = (distance, 0, 0, 0), None
    for least, longest, start, target, shifted in sorted(ranked):
        if (least, longest, start, target) >= best:
            break
        rows = _distances(shifted, goal)
        rank = rows[-1][-1], longest, start, target
        if rank < best and rank[0] < distance:
            best, result = rank, (shifted, rows)
    return result


def _shifts(text: str, goal: str, rows: Rows) -> Iterator[Shift]:
    """Yield shifts of words that the reference has elsewhere, where the text is wrong at both places."""
    aligned, wrong_there, wrong_here = _alignment(text, goal, rows)
    tried = 0
    for start, other, length in _matches(text, goal):
        if not (any(wrong_here[start : start + length]) and any(wrong_there[other : other + length])):
            continue
        if start <= aligned[other] < start + length:
            continue  # it would move within itself
        last = -1
        for place in range(other - 1, other + length):
            target = aligned[place] + 1 if place >= 0 else 0
            if target != last:
                tried += 1
                yield start, length, target
            last = target
        if tried >= _MAX_CANDIDATES:
            return


def _matches(text: str, goal: str) -> Iterator[Shift]:
    """Yield (start, start in the reference, length) for every common run of words."""
    places: dict[str, list[int]] = {}
    for place, letter in enumerate(goal):
        places.setdefault(letter, []).append(place)
    for start, letter in enumerate(text):
        for other in places.get(letter, ()):
            if abs(other - start) > _MAX_SHIFT_DISTANCE:
                continue
            for length in range(1, min(_MAX_SHIFT_SIZE, len(text) - start, len(goal) - other) + 1):
                if text[start + length - 1] != goal[other + length - 1]:
                    break
                yield start, other, length


def _shifted(text: str, start: int, length: int, target: int) -> str:
    moved, rest = text[start : start + length], text[:start] + text[start + length :]
    if target > start + length:  # a target inside the moved words counts on from their start, as tercom does
        target -= length
    return rest[:target] + moved + rest[target:]


def _distances(text: str, goal: str) -> Rows:
    """Return the edits between every prefix of the text and of the reference, within the band."""
    ratio = len(goal) / len(text)
    band = math.ceil(ratio / 2 + _BAND) if ratio / 2 > _BAND else _BAND
    rows = [list(range(len(goal) + 1))]
    for number, letter in enumerate(text, 1):
        diagonal = math.floor(number * ratio)
        first = max(0, diagonal - band)
        last = len(goal) if number == len(text) else min(len(goal), diagonal + band - 1)
        above, row = rows[-1], [_FAR] * (len(goal) + 1)
        left = _FAR
        if first == 0:
            row[0] = left = number
        for place in range(max(1, first), last + 1):
            diagonal_step = above[place - 1] if goal[place - 1] == letter else above[place - 1] + 1
            step = above[place] if above[place] < left else left
            row[place] = left = diagonal_step if diagonal_step <= step else step + 1
        rows.append(row)
    return rows


def _alignment(text: str, goal: str, rows: Rows) -> tuple[list[int], list[bool], list[bool]]:
    """Return the position of each reference word in the text, and which words of both need an edit.

    Of the paths with the fewest edits: match or substitution first, then deletion, then insertion, from the end back.
    """
    aligned, wrong_there, wrong_here = [0] * len(goal), [False] * len(goal), [False] * len(text)
    i, j = len(text), len(goal)
    while i or j:
        here = rows[i][j]
        if i and j and here == rows[i - 1][j - 1] + (text[i - 1] != goal[j - 1]):
            i, j = i - 1, j - 1
            wrong_here[i] = wrong_there[j] = text[i] != goal[j]
            aligned[j] = i
        elif i and here == rows[i - 1][j] + 1:
            i -= 1
            wrong_here[i] = True
        else:
            j -= 1
            wrong_there[j], aligned[j] = True, i - 1
    return aligned, wrong_there, wrong_here
