"""The tests, one folder for each of the package's."""

from hypothesis import settings

# A slow machine is no failure, and no test needs yesterday's examples.
settings.register_profile("introspect", deadline=None, database=None)
settings.load_profile("introspect")
