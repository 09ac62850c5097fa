"""Objects: written, read, described, copied, listed and removed."""

from __future__ import annotations

import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Final

from deploy.store_contract.bench import PICTURE, PNG, Bench, expect
from meshkit.clock import utc_now
from meshkit.object_store import ObjectMissing

CLOCKS_APART_MAX: Final = timedelta(minutes=5)
LARGE: Final = bytes(range(256)) * 40_000  # About ten MB.


async def reads_back_what_was_written(bench: Bench) -> None:
    """Bytes, length and content type come back as they were written."""
    key = await bench.write("a.png", PICTURE)
    await bench.expect_bytes(key, PICTURE)
    info = await bench.store.head(key)
    expect(info is not None, "HEAD finds nothing")
    assert info is not None
    expect(info.size_bytes == len(PICTURE), f"HEAD says {info.size_bytes} bytes")
    expect(info.content_type == PNG, f"HEAD says the type {info.content_type}")


async def reads_back_large_objects(bench: Bench) -> None:
    """Ten megabytes that are sent from a file come back whole."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(LARGE)
        file.flush()
        await bench.store.put_file(bench.key("large"), Path(file.name), content_type=PNG)
    await bench.expect_bytes(bench.key("large"), LARGE)


async def keeps_empty_objects(bench: Bench) -> None:
    """An object without bytes is an object."""
    await bench.expect_bytes(await bench.write("empty", b""), b"")


async def replaces_objects(bench: Bench) -> None:
    """A second write replaces bytes and type of the first, and is seen at once."""
    await bench.write("a", b"first", "text/plain")
    key = await bench.write("a", b"second", "text/css")
    await bench.expect_bytes(key, b"second")
    info = await bench.store.head(key)
    expect(info is not None and info.content_type == "text/css", "the old type is still there")


async def says_what_is_missing(bench: Bench) -> None:
    """Reading, describing and removing what is not there is told apart from a failure."""
    expect(await bench.store.head(bench.key("none")) is None, "HEAD finds what is not there")
    try:
        await bench.store.get(bench.key("none"), max_bytes=1)
    except ObjectMissing:
        pass
    else:
        expect(False, "GET gives what is not there")  # noqa: FBT003 - the fact that fails.
    await bench.store.delete(bench.key("none"))


async def removes_objects(bench: Bench) -> None:
    """A removed object is gone at once."""
    key = await bench.write("a", b"x")
    await bench.store.delete(key)
    expect(await bench.store.head(key) is None, "a removed object is still there")


async def lists_a_prefix_in_order(bench: Bench) -> None:
    """A listing gives the keys of a prefix, in order, at once, and no others."""
    for name in ("b/2", "b/1", "b2/1", "a/1"):
        await bench.write(name, b"x")
    found = [info.key async for info in bench.store.list(bench.key("b/"))]
    expect(found == [bench.key("b/1"), bench.key("b/2")], f"it lists {found}")


async def lists_in_pages(bench: Bench) -> None:
    """A listing is cut into pages that begin where the last one ended."""
    for number in range(3):
        await bench.write(str(number), b"x")
    first = await bench.store.call(
        lambda client, bucket: client.list_objects_v2(Bucket=bucket, Prefix=bench.prefix, MaxKeys=2)
    )
    expect(first.get("IsTruncated"), "a listing of two keys at a time gives all three")
    rest = await bench.store.call(
        lambda client, bucket: client.list_objects_v2(
            Bucket=bucket,
            Prefix=bench.prefix,
            MaxKeys=2,
            ContinuationToken=first["NextContinuationToken"],
        )
    )
    found = [item["Key"] for item in rest.get("Contents", ())]
    expect(found == [bench.key("2")], f"the second page has {found}")


async def dates_objects(bench: Bench) -> None:
    """The store's clock agrees with ours, since leftovers are told by their age."""
    info = await bench.store.head(await bench.write("a", b"x"))
    assert info is not None
    apart = abs(info.modified_at - utc_now())
    expect(apart < CLOCKS_APART_MAX, f"the clocks are {apart} apart")


CHECKS: Final = (
    reads_back_what_was_written,
    reads_back_large_objects,
    keeps_empty_objects,
    replaces_objects,
    says_what_is_missing,
    removes_objects,
    lists_a_prefix_in_order,
    lists_in_pages,
    dates_objects,
)
