"""README and docs must not promise what the program does not do."""

import json
import re
import shlex
from pathlib import Path

import pytest

from app.cli.main import parser

ROOT = Path(__file__).parents[1]
PAGES = {file.name: file.read_text(encoding="utf-8") for file in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]}
RESULTS = PAGES["results.md"]
COMMANDS = sorted({line for page in PAGES.values() for line in re.findall(r"^python launch\.py *([^#\n]*)", page, re.MULTILINE)})


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_line_is_understood(command):
    parser().parse_args(shlex.split(command))


def test_there_are_commands_and_every_verb_is_among_them():
    verbs = {"train", "generate", "evaluate", "methods", "runs", "import", "export", "pretrain", "many", "bench", "test"}
    commands = re.findall(r"^python launch\.py *([^#\n]*)", PAGES["README.md"], re.MULTILINE)
    assert verbs <= {(shlex.split(line) or [""])[0] for line in commands}


@pytest.mark.parametrize("page", PAGES)
def test_every_linked_file_exists(page):
    folder = ROOT if page == "README.md" else ROOT / "docs"
    links = [link for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", PAGES[page]) if "://" not in link]
    assert [link for link in links if not (folder / link).exists()] == []


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", *(f"docs/{name}" for name in PAGES if name != "README.md")])
def test_every_path_that_the_docs_name_exists(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    named = {path.rstrip(".") for path in re.findall(r"(?<![\w/.-])((?:core|analysis|app|assets|docs|tests)/[\w./-]+)", text)}
    in_walk = {"core/methods/scale.py"} if page == "docs/adding-a-method.md" else set()  # the file that the reader writes
    assert [path for path in sorted(named - in_walk) if "NAME" not in path and not (ROOT / path).exists()] == []


def test_the_readme_is_short_enough_for_a_newcomer():
    assert PAGES["README.md"].count("\n") <= 165


@pytest.mark.parametrize("run_id", ["e2e-prefix", "e2e-finetuned"])
def test_the_published_scores_are_those_of_the_bundled_runs(run_id):
    scores = json.loads((ROOT / "assets" / "runs" / run_id / "run.json").read_text(encoding="utf-8"))["scores"]["test"]
    row = next(line for line in RESULTS.splitlines() if f"`{run_id}`" in line and line.startswith("|"))
    assert f"{scores['BLEU']['value']:.1f}" in row and f"{scores['BLEU-original']['value']:.1f}" in row
    assert scores["BLEU"]["n"] == 630 and scores["BLEU"]["decoding"]["beams"] == 5


@pytest.mark.parametrize("run_id", ["wikinews-prefix", "wikinews-finetuned"])
def test_the_published_summaries_are_those_of_the_bundled_runs(run_id):
    run = json.loads((ROOT / "assets" / "runs" / run_id / "run.json").read_text(encoding="utf-8"))
    row = next(line for line in RESULTS.splitlines() if f"`{run_id}`" in line and line.startswith("|"))
    scores = run["scores"]["test"]
    assert all(f"{scores[name]['value']:.2f}" in row for name in ("ROUGE-1", "ROUGE-2", "ROUGE-L"))
    assert f"{run['valid_loss']:.3f}" in row and f"{run['stored']:,}" in row and scores["ROUGE-1"]["n"] == 975


@pytest.mark.parametrize("lines", re.findall(r"^```python\n(.*?)^```", PAGES["python.md"], re.MULTILINE | re.DOTALL))
def test_the_lines_of_python_run(lines, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PREFIX_LAB_HOME", str(tmp_path / "home"))
    exec(lines, {})
    assert capsys.readouterr().out.strip()
