"""METEOR 1.5, through its authors' jar: computed where java and the jar are, else said not to be.

The jar is looked for where PREFIX_LAB_METEOR_JAR points, then in the pycocoevalcap package if that is installed.
"""

import importlib.util
import os
import shutil
import subprocess
from pathlib import Path

from analysis.metrics.base import NotComputed, Score, check
from analysis.metrics.tokens import coco_tokens

JAR = "PREFIX_LAB_METEOR_JAR"


def meteor(hyps: list[str], refs: list[list[str]]) -> Score | NotComputed:
    """METEOR (0 to 100) on the tokens of the COCO captions' scripts, as the E2E script runs it. Raises BadInput as `e2e_bleu`."""
    check(hyps, refs)
    java, jar = shutil.which("java"), find_jar()
    if java is None:
        return NotComputed("METEOR", "not computed, needs java")
    if jar is None:
        return NotComputed("METEOR", f"not computed, needs meteor-1.5.jar: pip install pycocoevalcap, or set {JAR} to its path")
    outputs = [" ".join(coco_tokens(hyp)) for hyp in hyps]
    references = [[" ".join(coco_tokens(ref)) for ref in own] for own in refs]
    try:
        value, each = _run(java, jar, outputs, references)
    except (OSError, ValueError) as error:
        return NotComputed("METEOR", f"not computed, java could not run {jar.name}: {error}")
    return Score("METEOR", value, True, "METEOR-1.5|l:en|norm|case:lc|tok:13a without punctuation", len(hyps), tuple(each))


def find_jar() -> Path | None:
    """The jar with its paraphrase table beside it, if there is one."""
    if os.environ.get(JAR):
        jar = Path(os.environ[JAR])
        return jar if jar.is_file() else None
    package = importlib.util.find_spec("pycocoevalcap")
    places = list(package.submodule_search_locations or []) if package else []
    jars = [Path(place) / "meteor" / "meteor-1.5.jar" for place in places]
    return next((jar for jar in jars if jar.is_file()), None)


def _run(java: str, jar: Path, outputs: list[str], references: list[list[str]]) -> tuple[float, list[float]]:
    """The jar's line protocol: statistics of each example first, then one line of them all for the scores."""
    command = [java, "-Xmx2G", "-Dfile.encoding=UTF-8", "-Duser.language=en", "-jar", str(jar), "-", "-", "-stdio", "-l", "en", "-norm"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, encoding="utf-8", cwd=jar.parent
    ) as process:
        assert process.stdin is not None and process.stdout is not None

        def ask(line: str) -> str:
            process.stdin.write(line + "\n")  # type: ignore[union-attr]
            process.stdin.flush()  # type: ignore[union-attr]
            return process.stdout.readline().strip()  # type: ignore[union-attr]

        try:
            found = [ask(" ||| ".join(["SCORE", *own, output])) for output, own in zip(outputs, references, strict=True)]
            each = [float(ask(" ||| ".join(["EVAL", *found])))]
            each += [float(process.stdout.readline()) for _ in found]  # the last is that of the whole
        finally:
            process.kill()
    return 100 * each[-1], [100 * value for value in each[:-1]]
