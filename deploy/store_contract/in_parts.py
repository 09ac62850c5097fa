"""Uploads in parts: in any order, resumed, aborted, and closed once they are complete."""

from __future__ import annotations

from typing import Final

from deploy.store_contract.bench import FIVE_MINUTES, OK, REFUSED, Bench, expect
from meshkit.multipart import PART_BYTES_MIN, Part
from meshkit.object_store import MultipartMissing

FIRST: Final = b"1" * PART_BYTES_MIN
LAST: Final = b"the rest"
GONE: Final = REFUSED | {404}
VIDEO: Final = "video/mp4"


async def joins_parts_by_number(bench: Bench) -> None:
    """Parts that came in any order become one object in the order of their numbers."""
    upload_id = await bench.multiparts.begin(bench.key("a"), content_type=VIDEO)
    await _sent(bench, upload_id, 2, LAST)
    await _sent(bench, upload_id, 1, FIRST)
    await bench.multiparts.complete(bench.key("a"), upload_id, await _parts(bench, upload_id))
    await bench.expect_bytes(bench.key("a"), FIRST + LAST)
    info = await bench.store.head(bench.key("a"))
    expect(info is not None and info.content_type == VIDEO, "the type of the upload was lost")


async def lists_parts(bench: Bench) -> None:
    """What has arrived can be asked for, so that an upload goes on where it stopped."""
    upload_id = await bench.multiparts.begin(bench.key("a"), content_type=VIDEO)
    await _sent(bench, upload_id, 2, LAST)
    found = [(part.number, part.size_bytes) for part in await _parts(bench, upload_id)]
    expect(found == [(2, len(LAST))], f"it lists {found}")


async def replaces_parts(bench: Bench) -> None:
    """A part that is sent twice counts once, as it was sent last."""
    upload_id = await bench.multiparts.begin(bench.key("a"), content_type=VIDEO)
    await _sent(bench, upload_id, 1, b"before")
    await _sent(bench, upload_id, 1, LAST)
    await bench.multiparts.complete(bench.key("a"), upload_id, await _parts(bench, upload_id))
    await bench.expect_bytes(bench.key("a"), LAST)


async def refuses_parts_of_another_length(bench: Bench) -> None:
    """The length of a part is signed."""
    upload_id = await bench.multiparts.begin(bench.key("a"), content_type=VIDEO)
    for body in (LAST + b"!", LAST[:-1]):
        status = await _send(bench, upload_id, 1, body, size_bytes=len(LAST))
        expect(status in REFUSED, f"{len(body)} bytes instead of {len(LAST)}: status {status}")
    expect(not await _parts(bench, upload_id), "the refused part was kept")


async def shows_nothing_before_the_end(bench: Bench) -> None:
    """There is no object until the upload is complete."""
    upload_id = await bench.multiparts.begin(bench.key("a"), content_type=VIDEO)
    await _sent(bench, upload_id, 1, LAST)
    await bench.expect_nothing(bench.key("a"))


async def closes_completed_uploads(bench: Bench) -> None:
    """The URL of a part does not change an object that was completed and verified."""
    upload_id = await bench.multiparts.begin(bench.key("a"), content_type=VIDEO)
    await _sent(bench, upload_id, 1, LAST)
    await bench.multiparts.complete(bench.key("a"), upload_id, await _parts(bench, upload_id))
    await _send(bench, upload_id, 1, LAST[::-1], size_bytes=len(LAST))
    await bench.expect_bytes(bench.key("a"), LAST)
    await _expect_gone(bench, upload_id)


async def aborts_uploads(bench: Bench) -> None:
    """An aborted upload takes no parts; to abort it again is harmless."""
    upload_id = await bench.multiparts.begin(bench.key("a"), content_type=VIDEO)
    await _sent(bench, upload_id, 1, LAST)
    for _ in range(2):
        await bench.multiparts.abort(bench.key("a"), upload_id)
    status = await _send(bench, upload_id, 1, LAST, size_bytes=len(LAST))
    expect(status in GONE, f"a part of an aborted upload: status {status}")
    await _expect_gone(bench, upload_id)
    await bench.expect_nothing(bench.key("a"))


async def lists_unfinished_uploads(bench: Bench) -> None:
    """Uploads that nobody completed are found by their prefix."""
    upload_id = await bench.multiparts.begin(bench.key("b/a"), content_type=VIDEO)
    await bench.multiparts.begin(bench.key("c/a"), content_type=VIDEO)
    found = [one async for one in bench.multiparts.unfinished(bench.key("b/"))]
    ids = [(one.key, one.upload_id) for one in found]
    expect(ids == [(bench.key("b/a"), upload_id)], f"it lists {ids}")


async def _send(bench: Bench, upload_id: str, number: int, data: bytes, *, size_bytes: int) -> int:
    put = await bench.multiparts.presign(
        bench.key("a"), upload_id, number=number, size_bytes=size_bytes, expires=FIVE_MINUTES
    )
    return await bench.send(put, data)


async def _sent(bench: Bench, upload_id: str, number: int, data: bytes) -> None:
    status = await _send(bench, upload_id, number, data, size_bytes=len(data))
    expect(status == OK, f"part {number} was refused with status {status}")


async def _parts(bench: Bench, upload_id: str) -> list[Part]:
    return await bench.multiparts.parts(bench.key("a"), upload_id)


async def _expect_gone(bench: Bench, upload_id: str) -> None:
    try:
        await _parts(bench, upload_id)
    except MultipartMissing:
        return
    expect(False, "an upload that is over is still there")  # noqa: FBT003 - the fact that fails.


CHECKS: Final = (
    joins_parts_by_number,
    lists_parts,
    replaces_parts,
    refuses_parts_of_another_length,
    shows_nothing_before_the_end,
    closes_completed_uploads,
    aborts_uploads,
    lists_unfinished_uploads,
)
