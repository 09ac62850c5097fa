"""The `reelmesh` command."""

from __future__ import annotations

import typer

from deploy.commands.audit import audit
from deploy.commands.config import config
from deploy.commands.demo import demo
from deploy.commands.down import down
from deploy.commands.etl import etl
from deploy.commands.generate import generate
from deploy.commands.logs import logs
from deploy.commands.regions import regions
from deploy.commands.simulate import simulate
from deploy.commands.status import status
from deploy.commands.store import store
from deploy.commands.tour import tour
from deploy.commands.up import up

app = typer.Typer(
    name="reelmesh",
    help="Run the Reelmesh platform on this machine and make pictures with it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (up, down, status, logs, generate, demo, tour, simulate):
    app.command()(command)
app.add_typer(regions, name="regions", help="Show the regions, and take them out of service.")
app.add_typer(store, name="store", help="Check an object store of one's own.")
app.add_typer(audit, name="audit", help="Find out whether audit logs were tampered with.")
app.add_typer(etl, name="etl", help="Load the events into the lake, and see what they say.")
app.add_typer(config, name="config", help="Print the configuration that is made from the protos.")


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
