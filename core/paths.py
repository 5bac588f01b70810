"""Where bundled assets and the user's own files live."""

import os
from pathlib import Path

ASSETS = Path(__file__).resolve().parent.parent / "assets"
MODELS = ASSETS / "models"
BUNDLED_RUNS = ASSETS / "runs"
DATA = ASSETS / "data"
ICON = ASSETS / "icon.png"
LESSONS = ASSETS / "lessons"
TOY = ASSETS / "toy"  # a model of digits, for a lesson


def home() -> Path:
    """Return the user's folder: $PREFIX_LAB_HOME if set, else the platform's folder for application data."""
    import platformdirs  # late: the command line's --help works before anything is installed

    override = os.environ.get("PREFIX_LAB_HOME")
    return Path(override).expanduser() if override else platformdirs.user_data_path("prefix-lab", appauthor=False)


def runs_dir() -> Path:
    """Return the folder of the user's runs; it is created with the first run."""
    return home() / "runs"
