"""HTML of a run that was kept near a text: the words that its virtual tokens read as, and its loss with and without that."""

import shlex
from collections.abc import Sequence

from analysis.figures.style import visible_token
from analysis.space.near_text import TextReading
from analysis.space.vocabulary import Vocabulary, vocabulary
from app.shared.html import copy_button, table, tag, text
from core.models.backbone import Backbone
from core.runs.run import command_words

END = "∎"  # in place of the end-of-text token, as `visible_token` has it
NOTE = (
    "Penalty: the weight × the mean squared distance of the virtual tokens from the text's embeddings, divided by the "
    "vocabulary's variance (0: the text itself; 2: two words drawn at random). The loss is the task's alone, in nats per token, "
    "at the validation with the lowest loss plus penalty, which is the one stored. "
    "What a prompt reads as need not say what it does (Khashabi et al. 2022)."
)


def near_text_sections(groups: Sequence[Sequence[TextReading]], backbone: Backbone, on_map: Sequence[str]) -> str:
    """A section for each training: its runs by the weight of the penalty, of which those on the map (`on_map`) are read out."""
    unique = {tuple(reading.run.id for reading in group): group for group in groups if any(one.run.id in on_map for one in group)}
    return "".join(_section(group, vocabulary(backbone), on_map) for group in unique.values())


def _section(group: Sequence[TextReading], words: Vocabulary, on_map: Sequence[str]) -> str:
    listed = [reading for reading in group if reading.run.id in on_map]
    free = next((reading for reading in group if reading.weight == 0), None)
    sentences = "".join(tag("p", text(sentence(reading, free)), cls="pl-sentence") + _words(reading, words) for reading in listed)
    more = tag("summary", "The same training by the weight of the penalty") + _table(group, words, on_map)
    rest = tag("details", more + tag("p", text(NOTE), cls="meta"))
    return tag("section", sentences + (_command(listed[0]) if free is None else "") + rest, cls="pl-near-text")


def sentence(reading: TextReading, free: TextReading | None) -> str:
    """How much of its text a run reads as, and its loss beside that of the same training without the penalty."""
    run, count = reading.run, len(reading.ids)
    training = f"was kept near “{reading.text}”" if reading.weight else f"started from “{reading.text}”, without a penalty"
    nearest = f"for {reading.matches} of its {count} virtual tokens, the nearest word is still the one that they started from."
    match = f"{run.id} {training}: {nearest}"
    if run.valid_loss is None:
        return match
    loss = f"Its validation loss is {run.valid_loss:.3f}"
    if free is None or free is reading or free.run.valid_loss is None:
        return f"{match} {loss}."
    return f"{match} {loss}, and {free.run.valid_loss:.3f} without the penalty ({free.run.id})."


def _words(reading: TextReading, words: Vocabulary) -> str:
    """The nearest word of each virtual token; where it is not the text's, the text's stands beside it."""
    chips = []
    for number, (own, nearest) in enumerate(zip(reading.ids, reading.nearest, strict=True), 1):
        own_word = "" if own == nearest else tag("del", visible_token(words.texts[own]))
        chips.append(tag("li", tag("b", f"P{number}") + tag("span", visible_token(words.texts[nearest])) + own_word))
    return tag("ol", "".join(chips), aria_label=f"Nearest words of {reading.run.id}")


def _table(group: Sequence[TextReading], words: Vocabulary, on_map: Sequence[str]) -> str:
    heads = ("weight of the penalty", "run", "validation loss", "distance", "own words nearest", "reads as")
    rows = []
    for reading in group:
        loss = "–" if reading.run.valid_loss is None else f"{reading.run.valid_loss:.3f}"
        weight = f"{reading.weight:g}" if reading.weight else "0: without"
        reads = "".join(
            END if visible_token(word) == END else text(word) for word in map(words.texts.__getitem__, reading.nearest)
        )
        cells = [(weight, "n"), (text(reading.run.id), ""), (loss, "n"), (f"{reading.distance:.3f}", "n")]
        cells += [(f"{reading.matches} of {len(reading.ids)}", "n"), (f"“{reads}”", "")]
        here = "true" if reading.run.id in on_map else None
        rows.append(tag("tr", "".join(tag("td", cell, cls=cls or None) for cell, cls in cells), aria_current=here))
    return tag("div", table(heads, "".join(rows)), cls="pl-scroll")


def _command(reading: TextReading) -> str:
    """The command that trains the same without the penalty, to set its loss beside; nothing for a run without a command."""
    line = command_without_penalty(reading)
    if not line:
        return ""
    command = tag("code", text(line)) + copy_button(line)
    return tag("p", "The same training without the penalty, for its loss: " + command, cls="meta")


def command_without_penalty(reading: TextReading) -> str:
    """The run's own command with the weight 0 and another name; empty where it has none."""
    parts, arguments = command_words(reading.run.command), []
    if not parts:
        return ""
    skip = False
    for part in parts:
        name = part.partition("=")[0]
        if skip or name in ("--near-weight", "--run"):
            skip = not skip and "=" not in part
            continue
        arguments.append(part)
    return shlex.join([*arguments, "--near-weight", "0", "--run", f"{reading.run.id}-without"])
