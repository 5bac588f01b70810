"""The time to score a test set. Its texts come from the bundled tables, since the official sets are not included."""

import random
from collections.abc import Iterator

from analysis.benchmark.measure import Timing, summarize_times, time_call
from analysis.evaluation.suites import suite
from analysis.metrics.base import Score
from core import paths
from core.data.e2e import read_bundled

TABLES, REFERENCES = 630, 4693  # as many as the test set of E2E has
TARGET_SECONDS = 60.0  # seconds


def synthetic_test_set() -> tuple[list[str], list[list[str]]]:
    """Texts for TABLES tables and REFERENCES references in total; a table's text and references share a topic."""
    topics: dict[str, list[str]] = {}
    for example in read_bundled(paths.DATA / "records.jsonl"):
        topics.setdefault(example.group, []).extend(example.targets)
    draw, known = random.Random(0), sorted(topics)
    texts, references = [], []
    for place in range(TABLES):
        topic_texts, count = topics[draw.choice(known)], REFERENCES // TABLES + (place < REFERENCES % TABLES)
        texts.append(draw.choice(topic_texts))
        references.append([draw.choice(topic_texts) for _ in range(count)])
    return texts, references


def scoring(repeats: int) -> Iterator[Timing]:
    """Time the scores of the official E2E script, as far as they can be computed on this machine."""
    texts, references = synthetic_test_set()
    metrics = suite("e2e").metrics
    names = dict.fromkeys(one.name for one in metrics(texts[:2], references[:2], False, None) if isinstance(one, Score))
    times = [time_call(lambda: metrics(texts, references, False, None)) for _ in range(min(repeats, 3))]
    yield summarize_times("scoring", f"{TABLES} texts put together, by {', '.join(names)}", times, TARGET_SECONDS)
