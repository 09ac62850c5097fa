"""Verification of users' tokens at the edge; the services verify them again."""

from __future__ import annotations

from gateway import typed
from gateway.clusters import SELF
from gateway.routes import Route
from gateway.topology import Address, Topology
from gateway.typed import Json

FILTER = "envoy.filters.http.jwt_authn"
PROVIDER = "users"
REQUIREMENT = "user"
# The same as in the services, so that neither takes what the other refuses.
CLOCK_SKEW_SECONDS = 5
# A key is published for longer than this before it signs anything.
KEYS_CACHE = "300s"
REMEMBERED_TOKENS = 2000


def token_filter(topology: Topology) -> Json:
    """Return the filter: which tokens are good, by the keys that the edge itself publishes."""
    provider = {
        "issuer": topology.issuer,
        "audiences": [topology.audience],
        "forward": True,
        "clock_skew_seconds": CLOCK_SKEW_SECONDS,
        "from_headers": [{"name": "authorization", "value_prefix": "Bearer "}],
        "remote_jwks": {
            "http_uri": {
                "uri": f"http://{_authority(topology.listen)}/.well-known/jwks.json",
                "cluster": SELF,
                "timeout": "2s",
            },
            "cache_duration": KEYS_CACHE,
            # The listener must be up for its own keys to be fetched through it.
            "async_fetch": {"fast_listener": True, "failed_refetch_duration": "1s"},
        },
        "jwt_cache_config": {"jwt_cache_size": REMEMBERED_TOKENS},
    }
    return typed.extension(
        FILTER,
        "filters.http.jwt_authn.v3.JwtAuthentication",
        providers={PROVIDER: provider},
        requirement_map={REQUIREMENT: {"provider_name": PROVIDER}},
        bypass_cors_preflight=True,
    )


def token_rule(route: Route) -> Json:
    """Return a route's own part: whether a token is needed.

    Where none is needed a bad one is not looked at: signing in must work for a client that still
    sends its old token.
    """
    kind = "filters.http.jwt_authn.v3.PerRouteConfig"
    if route.is_open:
        return {FILTER: typed.config(kind, disabled=True)}
    return {FILTER: typed.config(kind, requirement_name=REQUIREMENT)}


def _authority(address: Address) -> str:
    return f"{address.host}:{address.port}"
