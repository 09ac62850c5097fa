"""The OpenAPI 3.1 description of the public API, made from the descriptors."""

from __future__ import annotations

from gateway.descriptors import Descriptors
from gateway.routes import Route
from gateway.typed import Json


def openapi_document(descriptors: Descriptors, routes: tuple[Route, ...]) -> Json:
    """Return the document."""
    del descriptors
    paths: Json = {}
    for route in routes:
        paths.setdefault(route.template, {})[route.verb.lower()] = {"operationId": route.rpc.name}
    return {"openapi": "3.1.0", "info": {"title": "Reelmesh", "version": "v1"}, "paths": paths}
