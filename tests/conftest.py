"""One thread for each test process: two of them collapse when anything else runs."""

import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

sys.path.insert(0, str(Path(__file__).parents[1] / "_ext"))  # as Sphinx does
