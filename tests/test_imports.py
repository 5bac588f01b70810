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
    modules = {}
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"), file.name)):
        if isinstance(node, ast.Import):
            modules.update({alias.name.split(".")[0]: node.lineno for alias in node.names})
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            modules[str(node.module).split(".")[0]] = node.lineno
    return modules


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
    assert imports(ROOT / "launch.py").keys() - set(sys.stdlib_module_names) == {"app", "core"}


# core from its base to its top: a package may import what stands in a row above its own, never one in its own row or below.
LAYERS = [
    ["errors", "paths", "tensor_file"],
    ["config", "text", "backbone_spec"],
    ["task"],
    ["prefix"],
    ["models", "runs"],
    ["data", "methods", "generation"],
    ["serving", "training"],
    ["exchange", "pretraining"],
]


def modules() -> dict[str, set[str]]:
    """Every module of the three packages, and the modules that it imports: TYPE_CHECKING and inside functions included."""
    files = {
        ".".join(file.relative_to(ROOT).with_suffix("").parts): file for name in FORBIDDEN for file in (ROOT / name).rglob("*.py")
    }
    graph = {}
    for name, file in files.items():
        nodes = [node for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))) if isinstance(node, ast.ImportFrom)]
        named = {f"{node.module}.{alias.name}" for node in nodes for alias in node.names} | {str(node.module) for node in nodes}
        graph[name] = (named & files.keys()) - {name}
    return graph


def test_core_is_built_in_layers():
    level = {part: number for number, row in enumerate(LAYERS) for part in row}
    wrong = [
        f"{name} imports {other}"
        for name, others in modules().items()
        for other in others
        if name.startswith("core.") and other.startswith("core.") and name.split(".")[1] != other.split(".")[1]
        if "__init__" not in name and level[other.split(".")[1]] >= level[name.split(".")[1]]
    ]
    assert wrong == []


def test_no_module_imports_itself_through_others():
    graph, done = modules(), set()

    def walk(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, " -> ".join([*way[way.index(name) :], name])
        if name not in done:
            for other in sorted(graph[name]):
                walk(other, (*way, name))
            done.add(name)

    for name in graph:
        walk(name, ())
