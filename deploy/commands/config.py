"""`reelmesh config`: the configuration that is made from the protos."""

from __future__ import annotations

import typer

from deploy.generated import example_topology
from gateway.envoy import config_text

config = typer.Typer(no_args_is_help=True)


@config.callback()
def configuration() -> None:
    """Print configuration."""


@config.command()
def envoy() -> None:
    """Print the edge's Envoy configuration as YAML, with example ports for the parts."""
    typer.echo(config_text(example_topology()))
