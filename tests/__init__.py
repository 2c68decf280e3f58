"""The tests, one folder for each of the package's."""

import os

from hypothesis import settings

# Workers that each use every core wait for one another: several times slower than one thread each.
# Read when torch is first imported, which is later.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# A slow machine is no failure, and no test needs yesterday's examples.
settings.register_profile("introspect", deadline=None, database=None, derandomize=True)
settings.load_profile("introspect")
