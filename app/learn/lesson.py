"""Lessons as Markdown files: a small header, then steps with `---` between them.

    title: Context steers
    minutes: 5
    ---
    The words in front decide what comes next.

    open: tab=compare&example=cafe-001
    ring: #pl-columns
    try: Enter a table of your own.
    ask: What does the frozen model write? | A sentence about the café | *Something else
    because: It was never trained on this task.

A step is a paragraph of Markdown and, below it, settings of a line each. `open` is the page's address as *Copy link* copies it,
without the part before the question mark; `ring` names an element by its id; of the answers to `ask`, one is marked with an
asterisk. A step that cannot be used is left out and reported; the rest of the lesson stays.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl

SETTINGS = ("open", "ring", "try", "ask", "because")
LONGEST = 600  # characters of a step's text: a projector shows one thought at a time
_SETTING = re.compile(rf"({'|'.join(SETTINGS)}):\s*(.*)")
_NAME = re.compile(r"[a-z]{2,3}(?:-[a-z]+)?/[\w-]{1,60}")


class Fault(ValueError):
    """What is wrong with a step or a lesson, as a sentence."""


@dataclass(frozen=True)
class Question:
    """`answers` in the order of the file; `right` is the index of the right one; `because` explains it."""

    text: str
    answers: tuple[str, ...]
    right: int
    because: str


@dataclass(frozen=True)
class Step:
    """`text` is Markdown; `open` is a query string without "?", empty to stay on the page; `ring` is an id with "#", or empty."""

    text: str
    open: str = ""
    ring: str = ""
    hint: str = ""
    question: Question | None = None


@dataclass(frozen=True)
class Lesson:
    """`name` is "LANGUAGE/FILE" without the ending; `faults` has a sentence for each step that was left out."""

    name: str
    title: str
    minutes: int
    steps: tuple[Step, ...]
    faults: tuple[str, ...] = ()


def parse_lesson(name: str, text: str, keys: frozenset[str]) -> Lesson:
    """Parse a lesson file. `keys` are the names that the page's address may hold. Raises Fault if there is no usable step."""
    if not _NAME.fullmatch(name):
        raise Fault(
            f"{name}: name the file with letters, digits, - and _ only, in a folder named after its language, such as en."
        )
    header, *blocks = re.split(r"^---[ \t]*$", text.replace("\r\n", "\n").lstrip("\ufeff"), flags=re.MULTILINE)
    facts = dict(re.findall(r"^(\w+):[ \t]*(.+?)[ \t]*$", header, flags=re.MULTILINE))
    if not facts.get("title") or not facts.get("minutes", "").isdecimal():
        raise Fault(f"{name}: a lesson begins with the lines 'title: …' and 'minutes: …' (a whole number), then '---'.")
    steps, faults = [], []
    for number, block in enumerate((block for block in blocks if block.strip()), 1):
        try:
            steps.append(parse_step(block, keys))
        except Fault as fault:
            faults.append(f"{name}, step {number} is left out: {fault}")
    if not steps:
        raise Fault(" ".join([f"{name} has no step that can be used.", *faults]))
    return Lesson(name, facts["title"], int(facts["minutes"]), tuple(steps), tuple(faults))


def parse_step(block: str, keys: frozenset[str]) -> Step:
    """Parse one step. Raises Fault."""
    paragraph, settings = [], {}
    for line in block.strip().split("\n"):
        match = _SETTING.fullmatch(line.strip())
        if match and match[1] in settings:
            raise Fault(f"'{match[1]}:' appears twice.")
        if match:
            settings[match[1]] = match[2].strip()
        elif line.strip() and settings:
            raise Fault(f"the settings must be the last lines of a step, and {line.strip()[:40]!r} follows them.")
        else:
            paragraph.append(line)
    text = "\n".join(paragraph).strip()
    if not text or len(text) > LONGEST:
        raise Fault(f"it needs a text of 1 to {LONGEST} characters, and this one has {len(text)}.")
    ring = settings.get("ring", "")
    if ring and not re.fullmatch(r"#[\w-]+", ring):
        raise Fault(f"'ring: {ring}' is not the id of an element, such as #pl-columns.")
    address = _check_address(settings.get("open", ""), keys)
    return Step(text, address, ring, settings.get("try", ""), _question(settings))


def _check_address(address: str, keys: frozenset[str]) -> str:
    query = address.rpartition("?")[2]
    if address and "=" not in query:
        raise Fault(f"'open: {address[:60]}' has no address: copy one with the page's Copy link.")
    unknown = [key for key, _ in parse_qsl(query, keep_blank_values=True) if key not in keys]
    if unknown:
        raise Fault(f"'open' names {unknown[0]!r}, which no page address of Prefix Lab has.")
    return query


def _question(settings: dict[str, str]) -> Question | None:
    if "ask" not in settings:
        if "because" in settings:
            raise Fault("'because' explains an answer, and there is no 'ask'.")
        return None
    text, *answers = (part.strip() for part in settings["ask"].split("|"))
    right = [place for place, answer in enumerate(answers) if answer.startswith("*")]
    if not text or not 2 <= len(answers) <= 4 or len(right) != 1 or not all(answer.lstrip("*").strip() for answer in answers):
        raise Fault("'ask' takes a question and two to four answers with | between them, the right one marked with *.")
    return Question(text, tuple(answer.lstrip("*").strip() for answer in answers), right[0], settings.get("because", ""))


def read_lessons(folders: list[Path], keys: frozenset[str]) -> tuple[list[Lesson], list[str]]:
    """All lessons in FOLDER/LANGUAGE/*.md, by name, and a sentence for each fault.

    A file in a later folder replaces the file of the same name in an earlier one.
    """
    files = {f"{path.parent.name}/{path.stem}": path for folder in folders for path in sorted(folder.glob("*/*.md"))}
    lessons, faults = [], []
    for name, path in sorted(files.items()):
        try:
            lesson = parse_lesson(name, path.read_text(encoding="utf-8"), keys)
        except (OSError, UnicodeDecodeError) as error:
            faults.append(f"{name} cannot be read as UTF-8 text ({error.__class__.__name__}).")
        except Fault as fault:
            faults.append(str(fault))
        else:
            lessons.append(lesson)
            faults += lesson.faults
    return lessons, faults
