"""`reelmesh config`: the configuration that is made from the protos."""

from __future__ import annotations

import typer

from deploy.local.edge import Edge
from deploy.local.layout import Layout
from deploy.local.parts import Part, Parts
from deploy.local.ports import GATEWAY_PORT
from gateway.envoy import config_text

config = typer.Typer(no_args_is_help=True)


@config.callback()
def configuration() -> None:
    """Print configuration."""


@config.command()
def envoy() -> None:
    """Print the edge's Envoy configuration as YAML, with example ports for the parts."""
    parts = Parts(
        Part("platform", "platform", "platform_svc", 50051, 9101),
        Part("business", "business", "business_svc", 50052, 9102),
        Part("scheduler", "inference", "inference", 50053, 9103),
    )
    typer.echo(config_text(Edge(Layout.at(None), GATEWAY_PORT, 9901, parts).topology))
