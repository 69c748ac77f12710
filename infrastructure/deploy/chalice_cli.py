"""Chalice's command with two changes: the functions' Python is ours, and a warning is an error.

Chalice takes whatever Python it runs under for the functions' runtime. It is run in a build copy:
`python -m infrastructure.deploy.chalice_cli deploy --stage dev`.
"""

from __future__ import annotations

import sys
import warnings

from chalice.cli import main
from chalice.config import Config

from infrastructure.deploy.build import RUNTIME

if __name__ == "__main__":
    warnings.simplefilter("error", UserWarning)  # what Chalice finds wrong with the app
    # It would resolve the dependencies for the Python it runs under; here they are in `vendor/` already.
    warnings.filterwarnings("ignore", "You are currently running python")
    Config.lambda_python_version = property(lambda _self: f"python{RUNTIME}")
    sys.exit(main())
