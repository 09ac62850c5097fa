"""Exchange of API keys at the edge: the access service turns them into tokens."""

from __future__ import annotations

from gateway import typed
from gateway.routes import Route
from gateway.topology import Topology
from gateway.typed import Json

FILTER = "envoy.filters.http.ext_authz"
# What a credential begins with if it is a key; all others pass without a question.
KEY = r"(?i:bearer) +rmk_.*"
TIMEOUT = "2s"
UNAVAILABLE = 503


def key_filter(topology: Topology) -> Json:
    """Return the filter: it asks only about requests that carry a key.

    It stands before the verification of tokens, which then sees the token that the key was
    traded for. If nobody answers, the request is refused.
    """
    exchange = typed.extension(
        FILTER,
        "filters.http.ext_authz.v3.ExtAuthz",
        transport_api_version="V3",
        grpc_service={
            "envoy_grpc": {"cluster_name": topology.key_part},
            "timeout": TIMEOUT,
        },
        allowed_headers={"patterns": [{"exact": "authorization"}]},
        failure_mode_allow=False,
        status_on_error={"code": UNAVAILABLE},
    )
    return {
        "name": FILTER,
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.common.matching.v3.ExtensionWithMatcher",
            "extension_config": exchange,
            "xds_matcher": {"matcher_list": {"matchers": [_without_key()]}},
        },
    }


def key_rule(route: Route) -> Json:
    """Return a route's own part: where no token is needed, no key is looked at either."""
    if not route.is_open:
        return {}
    kind = "type.googleapis.com/envoy.config.route.v3.FilterConfig"
    return {FILTER: {"@type": kind, "disabled": True}}


def _without_key() -> Json:
    """Return the rule that a request without a key skips the filter."""
    header = {
        "name": "authorization",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.type.matcher.v3.HttpRequestHeaderMatchInput",
            "header_name": "authorization",
        },
    }
    key = {"safe_regex": {"google_re2": {}, "regex": KEY}}
    has_key = {"single_predicate": {"input": header, "value_match": key}}
    skip = typed.extension("skip", "filters.common.matcher.action.v3.SkipFilter")
    return {"predicate": {"not_matcher": has_key}, "on_match": {"action": skip}}
