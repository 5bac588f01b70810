"""launch.py as a newcomer meets it: a copy in an empty folder, with one tiny package for its requirements.

The package is a wheel made here, so pip installs it for real and asks no network.
"""

import ast
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

LAUNCH = Path(__file__).parent.parent / "launch.py"
THING = "prefix-lab-test-thing"
COMMAND_LINE = """
import importlib.metadata, json, sys

def main(argv):
    import prefix_lab_test_thing
    print(json.dumps({"argv": argv, "prefix": sys.prefix, "thing": importlib.metadata.version("prefix-lab-test-thing")}))
    return 7 if "bad" in argv else None
"""


def make_wheel(folder: Path, version: str) -> None:
    folder.mkdir(exist_ok=True)
    info = f"prefix_lab_test_thing-{version}.dist-info"
    with zipfile.ZipFile(folder / f"prefix_lab_test_thing-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr("prefix_lab_test_thing.py", "")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {THING}\nVersion: {version}\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        names = ("prefix_lab_test_thing.py", f"{info}/METADATA", f"{info}/WHEEL", f"{info}/RECORD")
        wheel.writestr(f"{info}/RECORD", "".join(f"{name},,\n" for name in names))


class Checkout:
    """A folder holding launch.py, an app that reports what it was handed, and requirements.txt."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.wheels = folder, folder / "index"
        (folder / "app" / "cli").mkdir(parents=True)
        (folder / "app" / "cli" / "main.py").write_text(COMMAND_LINE)
        shutil.copy(LAUNCH, folder)
        self.require("1.0")

    def require(self, version: str) -> None:
        (self.folder / "requirements.txt").write_text(f"# one tiny thing\n{THING}=={version}  # and a remark\n")

    def run(self, *argv: str, python: str = sys.executable, **environment: str) -> subprocess.CompletedProcess[str]:
        ours = ("PIP_", "PYTHON", "MALLOC_", "GRADIO_", "HF_", "TOKENIZERS_")
        environ = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        environ |= {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": self.wheels.as_uri(), "PIP_CONFIG_FILE": os.devnull} | environment
        command = [python, str(self.folder / "launch.py"), *argv]
        return subprocess.run(command, env=environ, cwd=self.folder.parent, capture_output=True, text=True)


def report(done: subprocess.CompletedProcess[str]) -> dict:
    """What the app says it was handed: the last line."""
    assert done.stdout, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


@pytest.fixture
def checkout(tmp_path):
    return Checkout(tmp_path / "prefix lab")  # a space in the path, as people have


@pytest.fixture
def launch(checkout):
    """The copy's launch.py as a module, for what needs no process of its own."""
    spec = importlib.util.spec_from_file_location("launch_copy", checkout.folder / "launch.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_first_use_from_failure_to_upgrade(checkout):
    """One .venv through its whole life; in one test because making one takes seconds."""
    failed = checkout.run()
    assert failed.returncode == 1
    assert "First use" in failed.stdout
    assert "No matching distribution" in failed.stderr  # pip's own last words
    assert "installing failed" in failed.stderr and "run launch.py again" in failed.stderr
    assert "Traceback" not in failed.stderr

    make_wheel(checkout.wheels, "1.0")
    left_over = checkout.folder / ".venv" / "left-over"
    left_over.touch()
    first = checkout.run("runs", "--json", "two words")
    assert first.returncode == 0, first.stderr
    assert "starting it afresh" in first.stdout and not left_over.exists()
    handed = report(first)
    assert handed["argv"] == ["runs", "--json", "two words"]
    assert Path(handed["prefix"]) == checkout.folder / ".venv"

    second = checkout.run("bad")
    assert second.returncode == 7  # the app's own exit code
    assert len(second.stdout.splitlines()) == 1 and "pip" not in second.stderr  # set up already: not a word about it
    make_wheel(checkout.wheels, "1.1")
    checkout.require("1.1")
    left_over.touch()
    assert report(checkout.run())["thing"] == "1.1"
    assert left_over.exists()  # brought up to date in place

    checkout.require("9.9")
    nowhere = checkout.run()
    assert nowhere.returncode == 1 and "installing failed" in nowhere.stderr
    checkout.require("1.1")
    assert report(checkout.run())["thing"] == "1.1"  # a failed update does not cost the environment that works


@pytest.mark.slow
def test_a_bundle_sets_up_a_machine_without_a_network(checkout, tmp_path):
    make_wheel(checkout.wheels, "1.0")
    output = checkout.run("bundle", str(tmp_path / "a stick"))
    assert output.returncode == 0, output.stderr
    assert f"Copy {tmp_path / 'a stick' / 'wheels'} beside launch.py" in output.stdout
    assert not (checkout.folder / ".venv").exists()

    offline = Checkout(tmp_path / "laptop")
    shutil.copytree(tmp_path / "a stick" / "wheels", offline.folder / "wheels")
    done = offline.run("runs", PIP_FIND_LINKS="")
    assert done.returncode == 0, done.stderr
    assert "the network is not used" in done.stdout and report(done)["thing"] == "1.0"

    offline.require("2.0")
    old = offline.run("runs")
    assert old.returncode == 1 and "the folder wheels failed" in old.stderr and "launch.py bundle" in old.stderr


@pytest.mark.parametrize("arguments", [(), ("one", "two"), ("--help-me",)])
def test_bundle_asks_for_one_folder(checkout, arguments):
    done = checkout.run("bundle", *arguments)
    assert done.returncode == 1 and "python launch.py bundle FOLDER" in done.stderr


def test_bundle_says_where_it_may_not_write(checkout, tmp_path):
    (tmp_path / "file").touch()
    done = checkout.run("bundle", str(tmp_path / "file"))
    assert done.returncode == 1 and "cannot create" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("reachable", [True, False])
@pytest.mark.parametrize("verb", ["install", "download"])
def test_without_a_gpu_pytorch_comes_without_cuda(checkout, launch, monkeypatch, capsys, verb, reachable):
    Path(launch.REQUIREMENTS).write_text("torch==2.13.0\nnumpy==2.4.6\n")
    calls = []

    def pip(*command):
        calls.append(command)
        return 0 if reachable or len(calls) > 1 else 1

    monkeypatch.setattr(launch, "without_cuda", lambda: True)
    monkeypatch.setattr(launch, "pip", pip)
    options = ["--dest", "wheels"] if verb == "download" else []
    assert launch.fetch("python", verb, *options) == 0
    first, second = calls
    assert first[-3:] == ("--index-url", launch.CPU_BUILDS, "torch==2.13.0") and second[-2:] == ("-r", launch.REQUIREMENTS)
    assert ("--find-links" in second) == (verb == "download" and reachable)
    assert ("taking the build with CUDA" in capsys.readouterr().out) == (not reachable)


def test_with_a_gpu_pytorch_is_what_the_requirements_say(checkout, launch, monkeypatch):
    Path(launch.REQUIREMENTS).write_text("torch==2.13.0\n")
    calls = []
    monkeypatch.setattr(launch, "without_cuda", lambda: False)
    monkeypatch.setattr(launch, "pip", lambda *command: calls.append(command) or 0)
    assert launch.fetch("python", "install") == 0
    assert [command[-2:] for command in calls] == [("-r", launch.REQUIREMENTS)]


def test_the_progress_of_pip_is_one_line(launch, monkeypatch, capsys):
    """In a terminal the line is rewritten; elsewhere there are few of them. Sizes are those that pip prints."""
    monkeypatch.setattr(launch, "INTERVAL", 0)
    monkeypatch.setattr(launch.sys.stdout, "isatty", lambda: True, raising=False)
    progress = launch.Progress()
    for line in (
        "Collecting torch==2.13.0 (from -r requirements.txt (line 4))",
        "  Downloading torch-2.13.0%2Bcpu-cp311-cp311-linux.whl.metadata (29 kB)",
        "Downloading https://example.org/whl/torch-2.13.0%2Bcpu-cp311-cp311-linux.whl (190.3 MB)",
        "Progress 95000000 of 190300000",
        "Downloading segno-1.6.6-py3-none-any.whl (76 kB)",
        "Installing collected packages: torch, segno",
    ):
        progress.read(line)
    progress.end(failed=False)
    shown = capsys.readouterr().out
    assert shown.count("\n") == 1 and len({len(line) for line in shown.strip().split("\r")}) <= 2
    looked_up, started, half, second, unpacking = [line.strip() for line in shown.strip().split("\r")]
    assert looked_up.startswith("Looking up torch==2.13.0") and started.startswith("torch 2.13.0+cpu: 190.3 MB")
    assert half.startswith("torch 2.13.0+cpu: 95 of 190 MB") and second.startswith("segno 1.6.6: 0.1 MB") and "190 MB" in second
    assert unpacking.startswith("Unpacking 2 packages")


def test_an_interrupted_set_up_is_not_used_from_inside(checkout, launch, monkeypatch):
    """Killed in the middle of pip: package metadata may be there and the package not."""
    monkeypatch.setattr(launch, "missing", lambda: [])
    os.makedirs(launch.VENV)
    Path(launch.UNFINISHED).touch()
    monkeypatch.setattr(launch.sys, "prefix", launch.VENV)
    with pytest.raises(SystemExit, match="interrupted"):
        launch.find_python()


def test_a_set_up_that_still_runs_is_left_alone(checkout, launch):
    os.makedirs(launch.VENV)
    Path(launch.UNFINISHED).write_text(str(os.getppid()))
    with pytest.raises(SystemExit, match="still setting up"):
        launch.find_python()
    assert Path(launch.UNFINISHED).exists()


def test_somebody_elses_venv_folder_is_not_deleted(checkout, launch):
    mine = Path(launch.VENV) / "mine.txt"
    mine.parent.mkdir()
    mine.touch()
    with pytest.raises(SystemExit, match="delete it"):
        launch.find_python()
    assert mine.exists()


@pytest.mark.skipif(os.name == "nt", reason="POSIX layout")
def test_a_venv_that_is_only_a_link_to_python_does_not_loop(checkout, launch):
    os.makedirs(os.path.dirname(launch.PYTHON))
    os.symlink(os.path.realpath(sys.executable), launch.PYTHON)
    assert not launch.usable(launch.PYTHON)


def test_the_running_interpreter_is_kept_when_it_has_everything(checkout, launch):
    """Local version parts do not count: 2.13.0+cpu is 2.13.0."""
    Path(launch.REQUIREMENTS).write_text("torch==2.13.0\n\n# pytest==0.0\n")
    versions = {"torch": "2.13.0+cpu"}
    launch.importlib.metadata.version, original = versions.__getitem__, launch.importlib.metadata.version
    try:
        assert launch.find_python() == sys.executable
        versions["torch"] = "2.13.1+cpu"
        assert launch.missing() == ["torch==2.13.0"]
    finally:
        launch.importlib.metadata.version = original
    assert not os.path.exists(launch.VENV)


def test_an_unwritable_folder(checkout, launch, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(launch.os, "makedirs", refuse)
    with pytest.raises(SystemExit, match=r"cannot write in .* \(Permission denied\): copy this folder"):
        launch.find_python()


def test_a_python_without_ensurepip(checkout, launch, monkeypatch):
    monkeypatch.setattr(launch.importlib.util, "find_spec", lambda name: None if name == "ensurepip" else object())
    with pytest.raises(SystemExit, match="python3-venv"):
        launch.find_python()


def test_a_venv_without_pip(checkout, launch):
    os.makedirs(launch.VENV)
    no_pip = checkout.folder / "python"
    no_pip.write_text("#!/bin/sh\nexit 1\n")
    no_pip.chmod(0o755)
    with pytest.raises(SystemExit, match="has no pip"):
        launch.install(str(no_pip), fresh=False)


def test_help_needs_no_set_up(checkout):
    done = checkout.run("--help")
    assert done.returncode == 0 and "python launch.py test" in done.stdout
    assert not (checkout.folder / ".venv").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    "verb",
    [
        "train",
        "generate",
        "evaluate",
        "methods",
        "experiments",
        "runs",
        "mix",
        "names",
        "many",
        "bench",
        "import",
        "export",
        "pretrain",
        "bundle",
        "test",
    ],
)
def test_every_verb_explains_itself_before_anything_is_installed(verb):
    """With the standard library alone (-S leaves out all that is installed)."""
    command = [sys.executable, "-S", str(LAUNCH), *verb.split(), "--help"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"usage: launch.py {verb}".rstrip() in done.stdout


def test_an_old_python_is_reported_so(checkout):
    """The file parses under 3.6's grammar, and the sentence comes before anything that 3.6 lacks."""
    ast.parse(LAUNCH.read_text(), feature_version=(3, 6))
    pretend = "import sys; sys.version_info = (3, 8, 1); exec(compile(open(sys.argv[1]).read(), 'launch.py', 'exec'))"
    done = subprocess.run([sys.executable, "-c", pretend, str(LAUNCH)], capture_output=True, text=True)
    assert done.returncode == 1
    assert "needs Python 3.11 or newer and this is Python 3.8" in done.stderr and "Traceback" not in done.stderr


def test_the_tests_run_in_two_processes(launch, monkeypatch):
    calls = []
    monkeypatch.setattr(launch.subprocess, "call", lambda command, cwd: calls.append(command[2:]) or 0)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert launch.run_tests(["--fast", "tests/core", "-n", "4"]) == 0
    assert calls[-1] == ["pytest", "-n", "2", "--dist", "loadfile", "--fast", "tests/core", "-n", "4"]  # the last -n counts


PYTEST = "pytest -n 2 --dist loadfile --no-browser -k x"


@pytest.mark.parametrize("broken", [None, "ruff check .", "ruff format --check .", "oxlint", "mypy", PYTEST])
def test_the_test_verb_fails_with_any_of_its_checks(launch, monkeypatch, broken, capsys):
    calls = []

    def call(command, cwd):
        calls.append("oxlint" if "oxlint" in command[0] else " ".join(command[2:]))
        return int(calls[-1] == broken)

    monkeypatch.setattr(launch.subprocess, "call", call)
    assert launch.run_tests(["--no-browser", "-k", "x"]) == int(broken is not None)
    assert calls == ["ruff check .", "ruff format --check .", "oxlint", "mypy", PYTEST]
    assert capsys.readouterr().out.rstrip().endswith("== pytest")  # so pytest's own summary is the last line


BROWSER_TEST = """
import pytest

@pytest.mark.browser
def test_page(chromium):
    assert chromium

def test_other():
    pass
"""


@pytest.mark.parametrize(
    "options, path, expected",
    [((), None, "1 passed, 1 error"), (("--no-browser",), None, "1 passed, 1 skipped"), ((), "/bin/sh", "2 passed")],
)
def test_browser_tests_fail_without_a_browser_unless_left_out(tmp_path, options, path, expected):
    """With no Chromium they stop with the line that installs it, before a fixture starts a server, and do not skip in silence."""
    shutil.copy(Path(__file__).parent / "conftest.py", tmp_path / "conftest.py")
    with open(tmp_path / "conftest.py", "a") as conftest:
        conftest.write(f"\nfind_chromium = lambda: {path!r}\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = browser: x\n")
    (tmp_path / "test_page.py").write_text(BROWSER_TEST)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options]
    environ = os.environ | {"PYTHONPATH": str(LAUNCH.parent)}
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True)
    assert expected in done.stdout.splitlines()[-1]
    assert ("apt install chromium" in done.stdout) == (path is None and not options)
