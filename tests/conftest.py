"""Fixtures that every test may use: Postgres, NATS, SeaweedFS, a held clock."""

from hypothesis import HealthCheck, settings

pytest_plugins = ["meshkit.testing.fixtures"]

# How long an example takes says more about the machine than about the code.
settings.register_profile("reelmesh", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("reelmesh")
