"""Set up Prefix Lab on first use, then open the app or run one of its commands.

    python launch.py                open the app in a browser
                                    (--host --port --device --backbone --no-browser --allow-network)
    python launch.py train ...      and generate, evaluate, runs, import, export, pretrain: each explains itself with --help
    python launch.py bundle FOLDER  download everything that the set-up needs into FOLDER/wheels; with a copy of that folder
                                    beside launch.py, a machine like this one is set up without a network
    python launch.py test           run the linters, mypy and pytest (--fast: a quick check without slow and browser tests;
                                    --no-browser: all but the browser tests; other options go to pytest)

Only the standard library is used here. The interpreter that runs this file is kept if it has what
requirements.txt asks for; otherwise an environment is made in .venv beside it, and used from then on.
"""

import sys

# Before anything that an old Python lacks; the whole file must still parse there to get this far.
if sys.version_info < (3, 11):  # noqa: UP036
    sys.exit(
        "Prefix Lab needs Python 3.11 or newer and this is Python %d.%d (%s): install a newer one from python.org or your "  # noqa: UP031
        "system's packages and start launch.py with it, for example: python3.12 launch.py"
        % (sys.version_info[0], sys.version_info[1], sys.executable)
    )

import collections
import importlib
import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sysconfig
import time
import urllib.parse
from typing import NoReturn

SCRIPT = os.path.abspath(__file__)
HERE = os.path.dirname(SCRIPT)
REQUIREMENTS = os.path.join(HERE, "requirements.txt")
VENV = os.path.join(HERE, ".venv")
PYTHON = os.path.join(VENV, "Scripts", "python.exe") if os.name == "nt" else os.path.join(VENV, "bin", "python")
WHEELS = os.path.join(HERE, "wheels")  # written by `bundle` on another machine; where it exists, nothing else is installed from
CPU_BUILDS = "https://download.pytorch.org/whl/cpu"  # as PyTorch's site describes: builds without CUDA, a tenth of the size
# Stands in .venv, holding a process id, from before it is made until everything is installed.
UNFINISHED = os.path.join(VENV, "set-up-unfinished")
UNITS = {"B": 1e-6, "kB": 1e-3, "MB": 1.0, "GB": 1e3}  # of file sizes as pip prints them, in MB
INTERVAL, LAST_LINES = (
    10.0,
    15,
)  # of a set-up: seconds between two lines where there is no terminal; lines of pip that an error shows

USAGE = {  # of the verbs that are this file's own
    "bundle": """bundle FOLDER

Download everything that the set-up needs into FOLDER/wheels. With a copy of that folder beside launch.py, a machine with the
same system and Python is set up without a network.""",
    "test": """test [--fast | --no-browser] [PYTEST OPTION ...]

Run the linters, mypy and pytest, in two processes. --fast leaves out slow and browser tests, --no-browser the browser
tests. Options of pytest come after these: -n 0 runs the tests in one process, as a debugger needs.""",
}


def fail(sentence: str) -> NoReturn:
    """Leave with exit code 1 and `sentence` on stderr."""
    sys.stdout.flush()
    sys.exit("launch.py: " + sentence)


def pins() -> list[tuple[str, str]]:
    """Names and versions in requirements.txt."""
    with open(REQUIREMENTS, encoding="utf-8") as lines:
        return re.findall(r"^([\w.-]+)==([^\s;#+]+)", lines.read(), re.MULTILINE)


def missing() -> list[str]:
    """The lines of requirements.txt that this interpreter lacks; local version parts (2.13.0+cpu) do not count."""
    lacking = []
    for name, version in pins():
        try:
            installed = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            installed = None
        if installed is None or installed.split("+")[0] != version:
            lacking.append(f"{name}=={version}")
    return lacking


def someone_else_at_work() -> bool:
    """Whether the process that UNFINISHED names is alive: another launch.py may take minutes over its downloads."""
    if os.name == "nt":  # there os.kill would end it, and the files it has open cannot be deleted anyway
        return False
    try:
        with open(UNFINISHED, encoding="utf-8") as mark:
            process = int(mark.read())
        os.kill(process, 0)
    except (OSError, ValueError):
        return False
    return process != os.getpid()


def mark_unfinished() -> None:
    with open(UNFINISHED, "w", encoding="utf-8") as mark:
        mark.write(str(os.getpid()))


def make_venv() -> None:
    """An empty environment in .venv, marked unfinished; what an interrupted set-up left there goes first."""
    if not (importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip")):
        fail(
            "this Python cannot make environments (it lacks venv or ensurepip): install that part of it "
            "(Debian, Ubuntu: apt install python3-venv), then run launch.py again."
        )
    try:
        if os.path.exists(UNFINISHED):
            print("The last set-up did not finish: starting it afresh.", flush=True)
            shutil.rmtree(VENV)
        os.makedirs(VENV)
        mark_unfinished()
    except OSError as error:
        fail(
            f"cannot write in {HERE}, where .venv has to go ({error.strerror or error}): "
            "copy this folder to a place of your own and run launch.py there."
        )
    if subprocess.call([sys.executable, "-m", "venv", VENV]) != 0:
        fail("making .venv failed, see above: check the disk space and your system's python3-venv, then run launch.py again.")


def without_cuda() -> bool:
    """Whether this is Linux without an NVIDIA driver, where the plain PyTorch would bring CUDA's gigabytes for nothing."""
    return sys.platform.startswith("linux") and not (os.path.exists("/proc/driver/nvidia") or shutil.which("nvidia-smi"))


class Progress:
    """What pip prints, condensed into one line: rewritten in a terminal; elsewhere a new line every INTERVAL seconds at most."""

    def __init__(self) -> None:
        self.last_lines: collections.deque[str] = collections.deque(maxlen=LAST_LINES)
        self.received = 0.0  # MB of the downloads that are complete
        self.file, self.size, self.packages = "", 0.0, 0
        self.last_update = 0.0
        self.rewrites = sys.stdout.isatty()

    def read(self, line: str) -> None:
        """Take in one line of pip's."""
        counted = re.match(r"Progress (\d+) of (\d+)", line)
        if counted:
            self.show(f"{self.file}: {int(counted[1]) / 1e6:.0f} of {int(counted[2]) / 1e6:.0f} MB")
            return
        self.last_lines.append(line)
        step = r"\s*(Collecting|Processing|Downloading|Using cached|Installing collected packages:) "
        match = re.match(step + r"(\S+)(?: \(([\d.]+) ([kMG]?B)\))?", line)
        if not match or match[2].endswith(".metadata"):
            return
        if match[1] in ("Collecting", "Processing"):  # the second is a file on this machine
            self.packages += 1
            self.show(f"Looking up {os.path.basename(match[2])}")
        elif match[1].startswith("Installing"):
            self.received, self.size = self.received + self.size, 0.0
            count = line.count(",") + 1
            self.show(f"Unpacking {count} package{'s' * (count > 1)}, which takes a minute or more", always=True)
        elif match[3]:
            self.received += self.size
            self.file = " ".join(urllib.parse.unquote(match[2]).rsplit("/", 1)[-1].split("-")[:2])
            self.size = float(match[3]) * UNITS[match[4]]
            self.show(f"{self.file}: {self.size:.1f} MB")

    def show(self, what: str, always: bool = False) -> None:
        """Show what pip is at, and what it has downloaded."""
        if not (self.rewrites or always) and time.monotonic() - self.last_update < INTERVAL:
            return
        self.last_update = time.monotonic()
        line = f"  {what}; so far {self.packages} looked up, {self.received:.0f} MB downloaded"
        if self.rewrites:
            width = shutil.get_terminal_size().columns - 1
            print("\r" + line[:width].ljust(width), end="", flush=True)
        else:
            print(line, flush=True)

    def end(self, failed: bool) -> None:
        """End the line; what pip printed last stands below it where it failed."""
        if self.rewrites:
            print(flush=True)
        if failed:
            print("\n".join(["pip said:", *self.last_lines]), file=sys.stderr, flush=True)


def pip(python: str, verb: str, *arguments: str) -> int:
    """Run pip and show its progress in one line; its exit code."""
    version = subprocess.run([python, "-c", "import pip; print(pip.__version__)"], capture_output=True, text=True).stdout
    numbers = [int(number) for number in re.findall(r"\d+", version)[:2]]
    bar = "raw" if numbers >= [24, 1] else "off"  # older ones cannot count the bytes of a file
    command = [python, "-m", "pip", verb, "--disable-pip-version-check", "--no-input", "--progress-bar", bar, *arguments]
    progress = Progress()
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment, encoding="utf-8", errors="replace"
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            progress.read(line.rstrip())
    progress.end(failed=process.returncode != 0)
    return process.returncode


def fetch(python: str, verb: str, *options: str) -> int:
    """Have pip install or download everything in requirements.txt; the exit code.

    PyTorch comes first, without CUDA, where this machine has no use for CUDA and PyTorch's own index can be reached.
    """
    torch = [f"torch=={version}" for name, version in pins() if name == "torch"]
    if torch and without_cuda():
        print("No NVIDIA GPU: PyTorch's CPU build (190 MB) is taken; all of it together fills about 2 GB.", flush=True)
        if pip(python, verb, *options, "--no-deps", "--retries", "1", "--timeout", "10", "--index-url", CPU_BUILDS, *torch) != 0:
            print("PyTorch's own index cannot be reached: taking the build with CUDA, several GB.", flush=True)
        elif verb == "download":  # pip would fetch the other build beside it
            options = (*options, "--find-links", options[-1])
    elif torch and sys.platform.startswith("linux"):
        print("PyTorch's build with CUDA is taken: several GB.", flush=True)
    return pip(python, verb, *options, "-r", REQUIREMENTS)


def install(python: str, fresh: bool) -> None:
    """Everything in requirements.txt into the environment of `python`, from the folder `wheels` where there is one."""
    if subprocess.call([python, "-c", "import pip"], stderr=subprocess.DEVNULL) != 0:
        fail(f"{python} has no pip: run '{python} -m ensurepip', or delete the folder .venv, then run launch.py again.")
    mark_unfinished()
    offline = os.path.isdir(WHEELS)
    if offline:
        print("Installing from the folder wheels beside launch.py; the network is not used.", flush=True)
        code = pip(python, "install", "--no-index", "--find-links", WHEELS, "-r", REQUIREMENTS)
    else:
        code = fetch(python, "install")
    if code == 0 or not fresh:  # pip that gives up in an environment at work leaves it as it was
        os.remove(UNFINISHED)
    if code != 0 and offline:
        fail(
            "installing from the folder wheels failed, see above: create it again with 'launch.py bundle' on a machine with the "
            "same system and Python, or delete the folder to use the network."
        )
    if code != 0:
        fail("installing failed, see above: check the network and the disk space (several GB), then run launch.py again.")


def bundle(arguments: list[str]) -> int:
    """Download what the set-up needs on a machine like this one into a folder; the exit code."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        fail("bundle takes one folder: python launch.py bundle FOLDER")
    wheels = os.path.join(os.path.abspath(arguments[0]), "wheels")
    try:
        os.makedirs(wheels, exist_ok=True)
    except OSError as error:
        fail(f"cannot create {wheels} ({error.strerror or error}): name a folder in which you may write.")
    if fetch(sys.executable, "download", "--dest", wheels) != 0:
        fail("downloading failed, see above: check the network and the disk space (several GB), then run bundle again.")
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    print(f"Copy {wheels} beside launch.py on a machine with the same system and Python {version}.")
    return 0


def usable(python: str) -> bool:
    """Whether `python` runs, is new enough and knows .venv for its own (else it and this one would call each other for ever)."""
    probe = "import sys, os; sys.exit(sys.version_info < (3, 11) or not os.path.samefile(sys.prefix, sys.argv[1]))"
    try:
        return subprocess.call([python, "-c", probe, VENV]) == 0
    except OSError:
        return False


def find_python() -> str:
    """The interpreter to go on with: this one, or that of .venv, set up first where need be."""
    inside = os.path.realpath(sys.prefix) == os.path.realpath(VENV)
    unfinished = os.path.exists(UNFINISHED)
    lacking = missing()
    if not lacking and not (inside and unfinished):
        return sys.executable
    if unfinished and someone_else_at_work():
        fail("another launch.py is still setting up .venv: wait for it; if there is none, delete the folder .venv.")
    if inside and unfinished:
        fail("the set-up of .venv was interrupted: run launch.py with a Python outside .venv, and it starts afresh.")
    if inside:
        print("Installing what requirements.txt asks for and .venv lacks: " + ", ".join(lacking), flush=True)
        install(sys.executable, fresh=False)
        importlib.invalidate_caches()
        if missing():
            fail(f"pip is done, yet {', '.join(missing())} is not there: delete the folder .venv and run launch.py again.")
        return sys.executable
    if unfinished or not os.path.exists(VENV):
        print("First use: making .venv and installing the requirements there, which takes some minutes.", flush=True)
        make_venv()
        install(PYTHON, fresh=True)
    elif not usable(PYTHON):
        fail("the folder .venv beside launch.py has no working Python of 3.11 or newer: delete it and run launch.py again.")
    return PYTHON


def restart(python: str, argv: list[str]) -> int:
    """This script once more, in `python`; on POSIX in place of this process."""
    sys.stdout.flush()
    command = [python, SCRIPT, *argv]
    if os.name == "posix":
        os.execv(python, command)
    return subprocess.call(command)


def run_tests(arguments: list[str]) -> int:
    """Run every linter, then pytest with `arguments`, whatever failed before; pytest's summary comes last."""
    from core.process_settings import apply_process_settings

    apply_process_settings()
    python = [sys.executable, "-m"]
    checks = {
        "ruff check": [*python, "ruff", "check", "."],
        "ruff format": [*python, "ruff", "format", "--check", "."],
        "oxlint": [os.path.join(sysconfig.get_path("scripts"), "oxlint"), "--deny-warnings", "app"],
        "mypy": [*python, "mypy"],
    }
    failed = False
    for name, command in checks.items():
        print(f"== {name}", flush=True)
        if subprocess.call(command, cwd=HERE) != 0:
            failed = True
            print(f"== {name} FAILED: the exit code will be 1 even if all tests pass", flush=True)
    print("== pytest", flush=True)
    # Two processes with one thread each, unless `arguments` have another -n. The tests of a file share models: they stay in one.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    command = [*python, "pytest", "-n", "2", "--dist", "loadfile", *arguments]
    return int(subprocess.call(command, cwd=HERE) != 0 or failed)


def main(argv: list[str]) -> int:
    """Set up, then hand `argv` over; the exit code comes back."""
    if argv in (["-h"], ["--help"]) and not os.path.exists(VENV) and missing():
        print(__doc__)
        return 0
    asks = bool({"-h", "--help"} & set(argv))
    if asks and argv[0] in USAGE:
        print(f"usage: launch.py {USAGE[argv[0]]}")
        return 0
    if argv[:1] == ["bundle"]:
        return bundle(argv[1:])
    if asks:  # needs nothing installed
        from app.cli.main import main as command_line

        return command_line(argv) or 0
    python = find_python()
    if python != sys.executable:
        return restart(python, argv)
    if argv[:1] == ["test"]:
        return run_tests(argv[1:])
    from app.cli.main import main as command_line

    return command_line(argv) or 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        sys.exit(130)
