"""`reelmesh generate`: makes pictures with the running platform."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from deploy.account import sign_in_as_cli
from deploy.client import ReelmeshClient
from deploy.commands.making import make_pictures
from deploy.commands.terminal import DataOption, explained, progress, results, running_gateway
from deploy.local.failures import LocalFailure
from deploy.local.layout import Layout
from deploy.preview import decode_png, render

DEFAULT_TOOL: Final = "text-to-image"
PICTURES_MAX: Final = 8


def generate(  # noqa: PLR0917 - options, which are never given by position
    prompt: Annotated[str, typer.Argument(help="What the picture shows")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="File to write [<run id>.png]")
    ] = None,
    tool: Annotated[str, typer.Option(help="Tool to run")] = DEFAULT_TOOL,
    image: Annotated[
        Path | None, typer.Option(help="PNG, JPEG or WebP to start from (image-to-image)")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Gives the same picture again")] = None,
    steps: Annotated[int | None, typer.Option(help="Denoising steps")] = None,
    count: Annotated[int, typer.Option(min=1, max=PICTURES_MAX, help="Pictures to make")] = 1,
    data: DataOption = None,
) -> None:
    """Make pictures; prints the path of each."""
    layout = Layout.at(data)
    inputs: dict[str, Any] = {"prompt": prompt}
    inputs |= {k: v for k, v in (("seed", seed), ("steps", steps)) if v is not None}
    with explained():
        paths = asyncio.run(_generate(layout, (tool, inputs, count), image, output))
    for path in paths:
        results.print(str(path), markup=False, highlight=False)


async def _generate(
    layout: Layout,
    run: tuple[str, dict[str, Any], int],
    image: Path | None,
    output: Path | None,
) -> list[Path]:
    tool, inputs, count = run
    async with ReelmeshClient(running_gateway(layout)) as client:
        await sign_in_as_cli(client, layout)
        if image is not None:
            asset = await client.upload(_read(image), image.name, _content_type(image))
            inputs["image"] = asset["asset_id"]
        _, finished, pictures = await make_pictures(client, tool, inputs, count)
    for picture in pictures:
        progress.print(render(decode_png(picture), progress))
    progress.print(f"{finished['credits_charged']} credits charged", highlight=False)
    return _write(finished["run_id"], output, pictures)


def _write(run_id: str, output: Path | None, pictures: list[bytes]) -> list[Path]:
    first = output or Path(f"{run_id}.png")
    paths = []
    for number, picture in enumerate(pictures):
        path = first if number == 0 else first.with_stem(f"{first.stem}-{number + 1}")
        try:
            path.write_bytes(picture)
        except OSError as error:
            raise LocalFailure(
                f"The picture cannot be written to {path}: {error.strerror}. Name another file "
                "with -o."
            ) from error
        paths.append(path)
    return paths


def _read(image: Path) -> bytes:
    try:
        return image.read_bytes()
    except OSError as error:
        raise LocalFailure(f"{image} cannot be read: {error.strerror}.") from error


def _content_type(image: Path) -> str:
    kind = image.suffix.lower().lstrip(".").replace("jpg", "jpeg")
    return f"image/{kind}"
