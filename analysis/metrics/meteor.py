"""METEOR 1.5 through its authors' jar; not computed without java and the jar.

The jar is looked for at PREFIX_LAB_METEOR_JAR, then in the pycocoevalcap package. It aligns outputs and references and returns
counts; the score of any set of examples is computed here from their sums, to all the jar's digits.
"""

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np

from analysis.metrics.base import NotComputed, Progress, Score, check, tracked
from analysis.metrics.tokenizers import COCO, coco_tokens

JAR = "PREFIX_LAB_METEOR_JAR"

# What the jar uses for English: weights of precision against recall, of content against function words, and of the matchers
# (exact, stem, synonym, paraphrase); the two of the penalty for scattered matches.
_ALPHA, _BETA, _GAMMA, _DELTA = 0.85, 0.2, 0.6, 0.75
_MATCHERS = np.array([1.0, 0.6, 0.8, 0.6])


def coco_text(text: str) -> str:
    """Prepare a text as the E2E script does for METEOR."""
    return " ".join(coco_tokens(text))


def meteor(
    hyps: list[str],
    refs: list[list[str]],
    text: Callable[[str], str] = coco_text,
    how: str = f"case:lc|tok:{COCO}",
    progress: Progress | None = None,
) -> Score | NotComputed:
    """Return METEOR (0 to 100). `text` is applied to outputs and references first, and `how` describes it in the signature.

    Raises BadInput if the lists do not match or are empty, or if an output has no reference.
    """
    check(hyps, refs)
    java, jar = shutil.which("java"), find_jar()
    if java is None:
        return NotComputed("METEOR", "not computed, needs java")
    if jar is None:
        return NotComputed("METEOR", f"not computed, needs meteor-1.5.jar: pip install pycocoevalcap, or set {JAR} to its path")
    outputs = [_one_line(text(hyp)) for hyp in hyps]
    references = [[_one_line(text(ref)) for ref in own] for own in refs]
    try:
        sums = np.array([_counts(line) for line in _align(java, jar, outputs, references, progress)])
    except (OSError, ValueError) as error:
        return NotComputed("METEOR", f"not computed, java could not run {jar.name}: {error}")
    signature = f"METEOR-1.5|l:en|norm|{how}"
    return Score("METEOR", value_of(sums.sum(axis=0)), True, signature, len(hyps), tuple(map(value_of, sums)), sums, value_of)


def find_jar() -> Path | None:
    """Return the jar (with its paraphrase table in data/ beside it) if there is one."""
    if os.environ.get(JAR):
        jar = Path(os.environ[JAR])
        return jar if jar.is_file() else None
    package = importlib.util.find_spec("pycocoevalcap")
    places = list(package.submodule_search_locations or []) if package else []
    jars = [Path(place) / "meteor" / "meteor-1.5.jar" for place in places]
    return next((jar for jar in jars if jar.is_file()), None)


def _one_line(text: str) -> str:
    return " ".join(text.replace("|||", " ").split())  # three bars part the jar's fields


def _align(java: str, jar: Path, outputs: list[str], references: list[list[str]], progress: Progress | None) -> list[str]:
    """Return the jar's counts for each example, against the reference with the best score."""
    command = [java, "-Xmx2G", "-Dfile.encoding=UTF-8", "-Duser.language=en", "-jar", str(jar.resolve())]
    command += ["-", "-", "-stdio", "-l", "en", "-norm"]
    counts = []
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, encoding="utf-8"
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        try:
            for output, own in tracked(list(zip(outputs, references, strict=True)), "METEOR", progress):
                process.stdin.write(" ||| ".join(["SCORE", *own, output]) + "\n")
                process.stdin.flush()
                if not (line := process.stdout.readline()):
                    raise OSError("it ended early")
                counts.append(line)
        finally:
            process.kill()
    return counts


def _counts(line: str) -> np.ndarray:
    """Parse the 23 counts, which alternate between output and reference.

    They are: words, function words; content and function words matched by each of four matchers; then chunks (none in a text
    that is matched completely), and matched words of both.
    """
    counts = np.array(line.split(), dtype=float)
    if counts.shape != (23,):
        raise ValueError(f"it answered {line.strip()[:60]!r}")
    content, function = counts[4:20].reshape(4, 2, 2).sum(axis=0)
    if counts[20] == 1 and tuple(content + function) == tuple(counts[:2]):
        counts[20] = 0
    return counts


def value_of(sums: np.ndarray) -> float:
    """Compute METEOR (0 to 100) from summed counts."""
    words, function_words, chunks = sums[:2], sums[2:4], sums[20]
    matched = sums[4:20].reshape(4, 2, 2)  # (matcher, content or function, output or reference)
    weighted = _MATCHERS @ (_DELTA * matched[:, 0] + (1 - _DELTA) * matched[:, 1])  # (output, reference)
    length = _DELTA * (words - function_words) + (1 - _DELTA) * function_words
    if not weighted.all() or not length.all():
        return 0.0
    precision, recall = weighted / length
    mean = 1 / ((1 - _ALPHA) / precision + _ALPHA / recall)
    return float(100 * mean * (1 - _GAMMA * (chunks / sums[21:23].mean()) ** _BETA))
