"""The packages import one way, app -> analysis -> core, and launch.py starts on the standard library alone."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# What each package may not import, anywhere: not inside a function either.
FORBIDDEN = {"core": {"analysis", "app", "launch", "tests"}, "analysis": {"app", "launch", "tests"}, "app": {"launch", "tests"}}


def imports(file: Path) -> dict[str, int]:
    """Top-level name of every absolute import in `file`, with its line."""
    found = {}
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"), file.name)):
        if isinstance(node, ast.Import):
            found.update({alias.name.split(".")[0]: node.lineno for alias in node.names})
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found[str(node.module).split(".")[0]] = node.lineno
    return found


@pytest.mark.parametrize("package", FORBIDDEN)
def test_imports_point_one_way(package):
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    wrong = [
        f"{file.relative_to(ROOT)}:{line} imports {name}"
        for file in files
        for name, line in imports(file).items()
        if name in FORBIDDEN[package]
    ]
    assert wrong == []


@pytest.mark.parametrize("package", ["core", "analysis"])
def test_the_engine_knows_no_user_interface(package):
    wrong = [str(file) for file in (ROOT / package).rglob("*.py") if "gradio" in imports(file)]
    assert wrong == []


def test_relative_imports_stay_in_their_package():
    """`from ... import app` would slip past the walk above; absolute imports are the rule."""
    wrong = [
        f"{file.relative_to(ROOT)}:{node.lineno}"
        for package in FORBIDDEN
        for file in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.level > 1
    ]
    assert wrong == []


def test_launch_needs_the_standard_library_only():
    assert imports(ROOT / "launch.py").keys() - set(sys.stdlib_module_names) == {"app"}
