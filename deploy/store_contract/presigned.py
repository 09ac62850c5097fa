"""Signed URLs: what a client may do with one, and nothing else."""

from __future__ import annotations

from typing import Final

from deploy.store_contract.bench import FORBIDDEN, OK, PARTIAL, PICTURE, REFUSED, Bench, expect

OTHER: Final = PICTURE[:-1] + b"!"


async def takes_the_promised_bytes(bench: Bench) -> None:
    """An upload of the signed length, type and SHA-256 goes through."""
    status = await bench.send(await bench.presign("a"), PICTURE)
    expect(status == OK, f"it was refused with status {status}")
    await bench.expect_bytes(bench.key("a"), PICTURE)


async def refuses_another_length(bench: Bench) -> None:
    """An upload that is longer, shorter or empty is refused, and nothing is kept."""
    put = await bench.presign("a")
    for body in (PICTURE + b"\0", PICTURE[:-1], b""):
        status = await bench.send(put, body)
        expect(status in REFUSED, f"{len(body)} bytes instead of {len(PICTURE)}: status {status}")
    await bench.expect_nothing(bench.key("a"))


async def refuses_other_bytes(bench: Bench) -> None:
    """Other bytes of the same length are refused by their SHA-256."""
    status = await bench.send(await bench.presign("a"), OTHER)
    expect(status in REFUSED, f"other bytes: status {status}")
    await bench.expect_nothing(bench.key("a"))


async def refuses_another_checksum(bench: Bench) -> None:
    """The SHA-256 is signed, so another one cannot be announced."""
    put, other = await bench.presign("a"), await bench.presign("b", OTHER)
    checksum = other.headers["x-amz-checksum-sha256"]
    status = await bench.send(put, OTHER, x_amz_checksum_sha256=checksum)
    expect(status == FORBIDDEN, f"another checksum: status {status}")
    await bench.expect_nothing(bench.key("a"))


async def refuses_another_type(bench: Bench) -> None:
    """The content type is signed, so a page cannot be put where a picture is expected."""
    status = await bench.send(await bench.presign("a"), PICTURE, content_type="text/html")
    expect(status == FORBIDDEN, f"another type: status {status}")
    await bench.expect_nothing(bench.key("a"))


async def signs_for_one_key_and_verb(bench: Bench) -> None:
    """A signature is of no use for another key, nor for reading or removing."""
    put = await bench.presign("a.png")
    other = put.url.replace("a.png", "b.png")
    answers = {
        "another key": await bench.http.put(other, content=PICTURE, headers=put.headers),
        "reading": await bench.http.get(put.url),
        "removing": await bench.http.delete(put.url),
    }
    for what, answer in answers.items():
        expect(answer.status_code == FORBIDDEN, f"{what}: status {answer.status_code}")


async def ends_signatures(bench: Bench) -> None:
    """The end of a signature is signed with it."""
    await bench.write("a", PICTURE)
    url = str((await bench.fetch("a")).request.url)
    forged = url.replace("X-Amz-Expires=300", "X-Amz-Expires=3000")
    expect(forged != url, "the URL does not name its end")
    status = (await bench.http.get(forged)).status_code
    expect(status == FORBIDDEN, f"a prolonged URL: status {status}")


async def is_closed_without_signature(bench: Bench) -> None:
    """Nobody reads or writes without a signature."""
    await bench.write("a", PICTURE)
    url = str((await bench.fetch("a")).request.url).partition("?")[0]
    for verb in ("GET", "PUT", "DELETE"):
        status = (await bench.http.request(verb, url)).status_code
        expect(status in REFUSED | {401}, f"{verb} without a signature: status {status}")


async def names_downloads(bench: Bench) -> None:
    """A download comes under the signed file name and type, whatever the object's own."""
    await bench.write("a", PICTURE, "application/octet-stream")
    for inline, kind in ((False, "attachment"), (True, "inline")):
        answer = await bench.fetch("a", inline=inline)
        expect(answer.status_code == OK, f"status {answer.status_code}")
        expect(answer.content == PICTURE, "other bytes came back")
        given = answer.headers.get("content-disposition", "")
        expect(given == f"{kind}; filename=\"c_t.png\"; filename*=UTF-8''c%C3%A4t.png", given)
        expect(answer.headers["content-type"] == "image/png", answer.headers["content-type"])


async def serves_ranges(bench: Bench) -> None:
    """A range of a signed download can be asked for, as players of videos do."""
    await bench.write("a", PICTURE)
    answer = await bench.fetch("a", {"range": "bytes=10-19"})
    expect(answer.status_code == PARTIAL, f"status {answer.status_code}")
    expect(answer.content == PICTURE[10:20], f"{len(answer.content)} bytes came back")


CHECKS: Final = (
    takes_the_promised_bytes,
    refuses_another_length,
    refuses_other_bytes,
    refuses_another_checksum,
    refuses_another_type,
    signs_for_one_key_and_verb,
    ends_signatures,
    is_closed_without_signature,
    names_downloads,
    serves_ranges,
)
