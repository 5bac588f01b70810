"""docs/cli.md says what the parsers say, and help needs no torch."""

import subprocess
import sys
from pathlib import Path

from app.cli.main import parser
from app.cli.reference import FILE, reference

ROOT = Path(__file__).parents[3]
VERBS = ["train", "generate", "evaluate", "methods", "runs", "many", "bench", "import", "export", "pretrain"]
HELP = """
import contextlib, io, sys
from app.cli.main import main
for verb in [[], *([verb] for verb in sys.argv[1:])]:
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
        main([*verb, "--help"])
print([name for name in ("torch", "transformers", "gradio", "sacrebleu") if name in sys.modules])
"""


def test_the_reference_is_up_to_date():
    assert FILE.read_text(encoding="utf-8") == reference(), "run: python -m app.cli.reference"


def test_the_reference_lists_every_verb_and_option_but_not_the_hidden_ones():
    assert all(f"\n## {verb}\n" in reference() for verb in VERBS)
    assert "`--layout" in reference() and "`--input-format" in reference() and "`--form" not in reference()


def test_help_of_every_verb_imports_nothing_heavy():
    done = subprocess.run([sys.executable, "-c", HELP, *VERBS], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_former_names_of_options_still_work():
    assert parser().parse_args(["train", "--run", "a", "--form", "paper"]).layout == "paper"
    assert parser().parse_args(["import", "--zip", "a.zip", "--form", "newline"]).layout == "newline"
    assert parser().parse_args(["generate", "a : b", "--form", "webnlg"]).input_format == "webnlg"
    assert parser().parse_args(["train", "--run", "a"]).layout is None
