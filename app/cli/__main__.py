"""`python -m app.cli`, by which app/train/jobs.py starts a training."""

import sys

from app.cli.main import main

sys.exit(main())
