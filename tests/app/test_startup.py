"""What opening the page leaves for later."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
OPEN = """
import sys
opened = []
sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
from app.shared.gradio_import import without_stubs
with without_stubs():
    from app.main import build
stubs = [name for name in opened if name.endswith(".pyi")]
build()
print(*stubs, *sorted(set(sys.argv[1:]) & sys.modules.keys()))
"""
LATER = ["transformers.modeling_utils", "peft", "sklearn", "scipy.optimize", "umap", "nltk", "matplotlib", "torch._dynamo"]


def test_the_page_is_built_before_the_slow_libraries_are_imported(tmp_path):
    command = [sys.executable, "-c", OPEN, *LATER]
    environment = os.environ | {"PREFIX_LAB_HOME": str(tmp_path)}
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert (result.stdout.strip(), result.returncode) == ("", 0), result.stderr
