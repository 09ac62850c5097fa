"""Clusters: the parts behind the edge, and the edge itself as the place of the public keys."""

from __future__ import annotations

import ipaddress

from gateway import typed
from gateway.topology import Address, Endpoint, Topology, Upstream
from gateway.typed import Json

SELF = "edge"
CONNECT_TIMEOUT = "1s"
# A dead server refuses connections at once, so checks may be patient with a busy one; one that
# comes back is found within a second.
HEALTH_TIMEOUT = "5s"
HEALTH_INTERVAL = "2s"
UNHEALTHY_INTERVAL = "1s"


def clusters(topology: Topology) -> list[Json]:
    """Return every cluster of the edge."""
    parts = [_part(upstream, topology) for upstream in topology.upstreams]
    return [*parts, _self(topology.listen)]


def socket_address(address: Address) -> Json:
    """Return an address as Envoy writes it."""
    return {"socket_address": {"address": address.host, "port_value": address.port}}


def _part(upstream: Upstream, topology: Topology) -> Json:
    hosts = [endpoint.address.host for endpoint in upstream.endpoints]
    return {
        "name": upstream.part,
        "type": "STATIC" if all(_is_ip(host) for host in hosts) else "STRICT_DNS",
        "connect_timeout": CONNECT_TIMEOUT,
        "lb_policy": "LEAST_REQUEST",
        "load_assignment": {
            "cluster_name": upstream.part,
            "endpoints": _localities(upstream, topology.region),
        },
        "typed_extension_protocol_options": _http2(),
        "per_connection_buffer_limit_bytes": topology.limits.reply_bytes_max,
        # With all servers down a call is refused at once, not sent to a dead one.
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}},
        "health_checks": [
            {
                "timeout": HEALTH_TIMEOUT,
                "interval": HEALTH_INTERVAL,
                "no_traffic_interval": HEALTH_INTERVAL,
                "unhealthy_interval": UNHEALTHY_INTERVAL,
                "unhealthy_threshold": 3,
                "healthy_threshold": 1,
                "grpc_health_check": {},
            }
        ],
        "circuit_breakers": {
            "thresholds": [
                {
                    "max_connections": 1024,
                    "max_pending_requests": 1024,
                    # Each watcher of a run holds one for minutes.
                    "max_requests": 8192,
                    "retry_budget": {
                        "budget_percent": {"value": 25},
                        "min_retry_concurrency": 10,
                    },
                }
            ]
        },
    }


def _localities(upstream: Upstream, home: str) -> list[Json]:
    """Return the endpoints by region: the own one first, the others only when it is down."""
    regions: dict[str, list[Endpoint]] = {}
    for endpoint in sorted(upstream.endpoints, key=lambda one: (one.region != home, one.region)):
        regions.setdefault(endpoint.region, []).append(endpoint)
    return [
        {
            "locality": {"region": region},
            "priority": priority,
            "lb_endpoints": [
                {"endpoint": {"address": socket_address(one.address)}} for one in endpoints
            ],
        }
        for priority, (region, endpoints) in enumerate(regions.items())
    ]


def _self(listen: Address) -> Json:
    unspecified = _is_ip(listen.host) and ipaddress.ip_address(listen.host).is_unspecified
    address = Address("127.0.0.1" if unspecified else listen.host, listen.port)
    return {
        "name": SELF,
        "type": "STATIC" if _is_ip(address.host) else "STRICT_DNS",
        "connect_timeout": CONNECT_TIMEOUT,
        "load_assignment": {
            "cluster_name": SELF,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": socket_address(address)}}]}],
        },
    }


def _http2() -> Json:
    options = {"connection_keepalive": {"interval": "30s", "timeout": "5s"}}
    return {
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": typed.config(
            "upstreams.http.v3.HttpProtocolOptions",
            explicit_http_config={"http2_protocol_options": options},
        )
    }


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
