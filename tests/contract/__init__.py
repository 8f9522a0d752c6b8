"""Programs that nobody here wrote read the description and use the API."""

import sys
from pathlib import Path

OTHERS = Path(sys.prefix) / "others"  # where the Makefile installs them
