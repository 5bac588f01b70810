"""`python -m app.cli`: the command line without launch.py's set-up; app/train/jobs.py starts trainings by it."""

import sys

from app.cli.main import main

sys.exit(main())
