"""Files: a video in parts, its poster, a shared link, the trash, and the room they take."""

from __future__ import annotations

from typing import Final

import httpx

from deploy.client import Document, ReelmeshClient
from deploy.tour.clip import clip
from deploy.tour.guide import Guide
from deploy.uploading import begin_parts, missing_parts, send_parts

ORDER: Final = 40
TITLE: Final = "Files, links and the trash"
# A part and a bit, by the parts of 16 MiB that an installation has unless told otherwise.
CLIP_BYTES: Final = (16 << 20) + 100_000
NOT_FOUND: Final = 404


async def run(guide: Guide) -> None:
    """Upload with a break, share, use the link up, delete, restore, and look at the room."""
    async with guide.user("editor") as editor:
        asset = await _upload(guide, editor)
        await _share(guide, editor, asset)
        path = f"/v1/assets/{asset['asset_id']}"
        await editor.call("DELETE", path)
        await guide.refused(editor.call("GET", path), "ASSET_NOT_FOUND")
        [trashed] = (await editor.call("GET", "/v1/trash"))["assets"]
        await editor.call("POST", f"{path}:restore", {})
        guide.say(f"deleted, it lay in the trash until {trashed['purge_at'][:10]}, and came back")
        assert editor.session is not None
        room = await editor.call("GET", f"/v1/orgs/{editor.session.org_id}/storage")
        guide.check(int(room["used_bytes"]) == CLIP_BYTES, "the room is counted wrongly")
        guide.say(f"{room['used_bytes']} of {room['bytes_max']} bytes are used")
    async with guide.operator() as operator:
        seen = await operator.call("POST", "/v1/ops/storage:reconcile", {})
        guide.check(seen["orphans_count"] == "0", f"{seen['orphans_count']} orphans")
        guide.say(f"{seen['objects_count']} objects and their rows agree")


async def _upload(guide: Guide, editor: ReelmeshClient) -> Document:
    data = clip(CLIP_BYTES)
    begun = await begin_parts(editor, data, "rolling.mp4", "video/mp4")
    asset_id = begun["asset"]["asset_id"]
    await send_parts(editor, begun, data, [2])
    missing = await missing_parts(editor, asset_id)
    guide.check(missing == [1], f"parts {missing} are missing")
    await guide.refused(
        editor.call("POST", f"/v1/assets/{asset_id}:complete", {}), "UPLOAD_INCOMPLETE"
    )
    await send_parts(editor, begun, data, missing)
    asset = await editor.call("POST", f"/v1/assets/{asset_id}:complete", {})
    kinds = " and ".join(sorted(one["kind"] for one in asset["previews"]))
    guide.say(
        f"a video of {asset['duration_ms']} ms came in two parts, with a break between; "
        f"it has a {kinds}"
    )
    return asset


async def _share(guide: Guide, editor: ReelmeshClient, asset: Document) -> None:
    links = f"/v1/assets/{asset['asset_id']}/share-links"
    made = await editor.call("POST", links, {"downloads_max": 1})
    async with ReelmeshClient(guide.gateway_url) as nobody:
        seen = await nobody.call("GET", made["path"])
        guide.check(seen["filename"] == "rolling.mp4", "the link shows another file")
        download = made["path"].replace("shared?", "shared/download?")
        first = await nobody.call("GET", download)
        async with httpx.AsyncClient(trust_env=False) as store:
            status = (await store.head(first["url"])).status_code
        guide.check(status != NOT_FOUND, f"the download gives {status}")
        await guide.refused(nobody.call("GET", download), "SHARE_LINK_USED_UP")
        link = f"{links}/{made['share_link']['share_link_id']}"
        await editor.call("DELETE", link)
        await guide.refused(nobody.call("GET", made["path"]), "SHARE_LINK_NOT_FOUND")
    guide.say("without an account, its link was good for one download, and for none once revoked")
