"""The edge's whole Envoy configuration, and the folder of files that Envoy starts from."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from gateway import typed
from gateway.clusters import clusters, socket_address
from gateway.descriptors import Descriptors
from gateway.docs import CONTENT_SECURITY_POLICY, docs_page
from gateway.filters import http_filters
from gateway.listener import listener
from gateway.openapi import openapi_document
from gateway.routes import Route, read_routes
from gateway.topology import Topology
from gateway.typed import Json
from gateway.virtual_host import untranscoded, virtual_host

CONFIG_FILE = "envoy.yaml"
DESCRIPTORS_FILE = "descriptors.binpb"
OPENAPI_FILE = "openapi.json"
DOCS_FILE = "docs.html"


# The C library writes tenfold faster, where the wheel has it.
class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """Writes values in full where they occur, and scripts as lines."""

    def ignore_aliases(self, data: object) -> bool:
        """Tell that nothing is to be written as a reference."""
        del data
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    return dumper.represent_scalar(
        "tag:yaml.org,2002:str", text, style="|" if "\n" in text else None
    )


_Dumper.add_representer(str, _text)


def write_edge(folder: Path, topology: Topology, *, descriptors: Descriptors | None = None) -> Path:
    """Write everything Envoy needs into the folder; return the path of its configuration.

    The configuration names the other files by absolute paths.
    """
    protos = descriptors or Descriptors.load()
    routes = read_routes(protos)
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    document = openapi_document(protos, routes)
    (folder / DESCRIPTORS_FILE).write_bytes(protos.stripped())
    (folder / OPENAPI_FILE).write_text(json.dumps(document, ensure_ascii=False))
    (folder / DOCS_FILE).write_text(docs_page())
    config = folder / CONFIG_FILE
    config.write_text(dump(edge_config(folder, topology, protos, routes)))
    return config


def config_text(topology: Topology, *, folder: Path = Path("/etc/reelmesh/edge")) -> str:
    """Return the configuration as YAML, for reading; `folder` is where its files would be."""
    protos = Descriptors.load()
    return dump(edge_config(folder, topology, protos, read_routes(protos)))


def edge_config(
    folder: Path, topology: Topology, descriptors: Descriptors, routes: tuple[Route, ...]
) -> Json:
    """Return the configuration; the folder holds the files that it names."""
    pages = [
        _page("/openapi.json", folder / OPENAPI_FILE, "application/json"),
        _page(
            "/docs",
            folder / DOCS_FILE,
            "text/html; charset=utf-8",
            security_policy=CONTENT_SECURITY_POLICY,
        ),
    ]
    host = virtual_host(topology, routes, pages)
    filters = http_filters(topology, routes, descriptors, folder / DESCRIPTORS_FILE)
    config: Json = {
        "node": {
            "id": "edge",
            "cluster": "reelmesh",
            "locality": {"region": topology.region},
        },
        "static_resources": {
            "listeners": [listener(topology, host, filters)],
            "clusters": clusters(topology),
        },
        "overload_manager": _overload(topology),
    }
    if topology.admin is not None:
        config["admin"] = {"address": socket_address(topology.admin)}
    return config


def dump(config: Json) -> str:
    """Return a configuration as YAML."""
    text: str = yaml.dump(config, Dumper=_Dumper, sort_keys=False, width=100)
    return text


def _page(path: str, file: Path, content_type: str, *, security_policy: str = "") -> Json:
    headers = {"content-type": content_type}
    if security_policy:
        headers["content-security-policy"] = security_policy
    return {
        "match": {
            "path": path,
            "headers": [{"name": ":method", "string_match": {"exact": "GET"}}],
        },
        "direct_response": {"status": 200, "body": {"filename": str(file)}},
        "typed_per_filter_config": untranscoded(),
        "response_headers_to_add": [
            {
                "header": {"key": key, "value": value},
                "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
            }
            for key, value in headers.items()
        ],
    }


def _overload(topology: Topology) -> Json:
    return {
        "resource_monitors": [
            typed.extension(
                "envoy.resource_monitors.global_downstream_max_connections",
                "resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
                max_active_downstream_connections=topology.limits.connections_max,
            )
        ]
    }
