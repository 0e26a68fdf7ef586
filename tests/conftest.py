"""Settings for all tests."""

import os

from hypothesis import HealthCheck, settings

# Timing depends on what else the machine does, so no example has a deadline; the run as a whole has pytest's timeout.
settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("thorough", deadline=None, max_examples=2000, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))
