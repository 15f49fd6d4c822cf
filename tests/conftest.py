"""One thread for each test process: two of them collapse when anything else runs."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
