"""`reelmesh store`: whether an object store does what Reelmesh asks of any."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.table import Table

from deploy.commands.terminal import DataOption, JsonOption, explained, progress, results
from deploy.local.failures import LocalFailure, NotRunning
from deploy.local.layout import Layout
from deploy.local.status import find_supervisor, read_status
from deploy.store_contract.running import CHECKS, Finding, examine
from meshkit.object_store import S3Settings

BUCKET: Final = "reelmesh"

store = typer.Typer(no_args_is_help=True)


@store.callback()
def object_store() -> None:
    """Look at an object store."""


@store.command()
def check(
    *,
    endpoint: Annotated[
        str, typer.Option(help="URL of the store; without it that of the running platform")
    ] = "",
    bucket: Annotated[str, typer.Option(help="A bucket that is there already")] = BUCKET,
    region: Annotated[str, typer.Option(help="Region that requests are signed for")] = "us-east-1",
    access_key_file: Annotated[Path | None, typer.Option(help="File with the key's id")] = None,
    secret_key_file: Annotated[Path | None, typer.Option(help="File with the secret")] = None,
    addressing_style: Annotated[str, typer.Option(help="path or virtual")] = "path",
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check that a store does what Reelmesh asks of any; some 40 MB are sent and removed.

    Only keys that begin with `reelmesh-contract/` are touched. The exit status is 1 if anything
    is amiss.
    """
    with explained():
        if endpoint:
            keys = (_text(access_key_file, "access"), _text(secret_key_file, "secret"))
            settings = S3Settings(
                endpoint, region, bucket, *keys, addressing_style=addressing_style
            )
        else:
            settings = _running(Layout.at(data))
        findings = asyncio.run(_examined(settings))
        _show(findings, as_json=as_json)
        if not all(finding.holds for finding in findings):
            raise typer.Exit(1)


async def _examined(settings: S3Settings) -> list[Finding]:
    findings = []
    with progress.status("") as status:
        async for finding in examine(settings):
            findings.append(finding)
            status.update(f"{len(findings)} of {len(CHECKS)}: {finding.name}")
    return findings


def _show(findings: list[Finding], *, as_json: bool) -> None:
    if as_json:
        documents = [{**asdict(one), "holds": one.holds} for one in findings]
        results.print_json(json.dumps({"findings": documents}))
        return
    table = Table("", "the store", "what is asked, or what was seen instead", box=None)
    for one in findings:
        table.add_row("ok" if one.holds else "FAILED", one.name, one.problem or one.asked)
    results.print(table)
    amiss = sum(not one.holds for one in findings)
    results.print(
        f"The store does not do {amiss} of the {len(findings)} things that are asked."
        if amiss
        else f"The store does all {len(findings)} things that are asked."
    )


def _running(layout: Layout) -> S3Settings:
    if find_supervisor(layout) is None:
        raise NotRunning(layout.data)
    names = ("s3_access_key", "s3_secret_key")
    keys = [(layout.secrets / name).read_text().strip() for name in names]
    return S3Settings(read_status(layout)["endpoints"]["s3"], "us-east-1", BUCKET, *keys)


def _text(file: Path | None, what: str) -> str:
    if file is None:
        raise LocalFailure(f"Say in which file the {what} key is: --{what}-key-file.")
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise LocalFailure(f"{file} cannot be read: {error.strerror}.") from error
