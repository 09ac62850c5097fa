"""Fixtures that every test may use: Postgres, NATS, SeaweedFS, a held clock."""

pytest_plugins = ["meshkit.testing.fixtures"]
