"""Values of the domain as messages."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from reelmesh.platform.assets.v1 import assets_service_pb2 as pb
from reelmesh.platform.assets.v1 import share_links_service_pb2 as links_pb
from reelmesh.platform.assets.v1 import storage_service_pb2 as storage_pb

from meshkit.ids import format_id
from meshkit.object_store import PresignedPut
from meshkit.timestamps import timestamp
from platform_svc.assets.asset import Asset
from platform_svc.assets.commands import Upload
from platform_svc.assets.orphan import Orphan
from platform_svc.assets.reconciliation import Report
from platform_svc.assets.share import ShareLink
from platform_svc.assets.usage import Quota, Usage
from platform_svc.assets.views import SignedPreview, View


def asset_message(view: View) -> pb.Asset:
    """Give an asset as callers see it."""
    asset, dimensions = view.asset, view.asset.dimensions
    return pb.Asset(
        asset_id=format_id("ast", asset.id),
        org_id=format_id("org", asset.org_id),
        filename=asset.contents.filename,
        content_type=asset.contents.content_type,
        size_bytes=asset.contents.size_bytes,
        sha256=asset.contents.sha256,
        state=asset.state.value,
        width=dimensions.width if dimensions else None,
        height=dimensions.height if dimensions else None,
        duration_ms=dimensions.duration_ms if dimensions else None,
        run_id=format_id("run", asset.run_id) if asset.run_id else None,
        created_at=timestamp(asset.created_at),
        trashed_at=timestamp(asset.trashed.at) if asset.trashed else None,
        purge_at=timestamp(asset.trashed.purge_at) if asset.trashed else None,
        previews=preview_messages(view.previews),
    )


def preview_messages(previews: Sequence[SignedPreview]) -> list[pb.Preview]:
    """Give previews with their addresses."""
    return [
        pb.Preview(
            kind=one.preview.kind.value,
            width=one.preview.width,
            height=one.preview.height,
            url=one.url,
        )
        for one in previews
    ]


def create_response(upload: Upload) -> pb.CreateAssetResponse:
    """Give a reserved asset and how to send its bytes."""
    asset = asset_message(View(upload.asset))
    if upload.put is None:
        return pb.CreateAssetResponse(asset=asset, parts_plan=plan_message(upload.asset))
    assert upload.asset.upload_ends_at is not None
    put = upload_message(upload.put, upload.asset.upload_ends_at)
    return pb.CreateAssetResponse(asset=asset, upload=put)


def upload_message(put: PresignedPut, expires_at: datetime) -> pb.Upload:
    """Give a request that the client makes itself."""
    return pb.Upload(
        method="PUT", url=put.url, headers=put.headers, expires_at=timestamp(expires_at)
    )


def plan_message(asset: Asset) -> pb.PartsPlan:
    """Give how a pending asset is cut."""
    assert asset.plan is not None
    assert asset.upload_ends_at is not None
    return pb.PartsPlan(
        part_size_bytes=asset.plan.part_bytes,
        part_count=asset.plan.count(asset.contents.size_bytes),
        expires_at=timestamp(asset.upload_ends_at),
    )


def link_message(link: ShareLink, now: datetime) -> links_pb.ShareLink:
    """Give a link as its organization sees it."""
    return links_pb.ShareLink(
        share_link_id=format_id("shl", link.id),
        asset_id=format_id("ast", link.asset_id),
        state=link.state(now).value,
        downloads_max=link.downloads_max or 0,
        downloads_count=link.downloads_count,
        created_by=format_id("usr", link.created_by),
        created_at=timestamp(link.created_at),
        expires_at=timestamp(link.expires_at),
    )


def shared_message(link: ShareLink, view: View) -> links_pb.SharedAsset:
    """Give an asset as anybody with a link sees it."""
    contents, dimensions = view.asset.contents, view.asset.dimensions
    return links_pb.SharedAsset(
        filename=contents.filename,
        content_type=contents.content_type,
        size_bytes=contents.size_bytes,
        width=dimensions.width if dimensions else None,
        height=dimensions.height if dimensions else None,
        duration_ms=dimensions.duration_ms if dimensions else None,
        previews=preview_messages(view.previews),
        expires_at=timestamp(link.expires_at),
    )


def usage_message(usage: Usage, default: Quota) -> storage_pb.StorageUsage:
    """Give what an organization stores and may store."""
    quota = usage.own_quota.over(default)
    return storage_pb.StorageUsage(
        org_id=format_id("org", usage.org_id),
        used_bytes=usage.used_bytes,
        ready_bytes=usage.ready_bytes,
        trashed_bytes=usage.trashed_bytes,
        reserved_bytes=usage.reserved_bytes,
        assets_count=usage.assets_count,
        bytes_max=quota.bytes_max,
        assets_max=quota.assets_max,
    )


def orphan_message(orphan: Orphan) -> storage_pb.Orphan:
    """Give what was found without its counterpart."""
    return storage_pb.Orphan(
        key=orphan.finding.key,
        kind=orphan.finding.kind.value,
        size_bytes=orphan.finding.size_bytes,
        found_at=timestamp(orphan.found_at),
        seen_at=timestamp(orphan.seen_at),
    )


def report_message(report: Report) -> storage_pb.ReconcileStorageResponse:
    """Give what a reconciliation has found and done."""
    return storage_pb.ReconcileStorageResponse(
        objects_count=report.compared.objects_count,
        orphans_count=report.orphans_count,
        objects_removed_count=report.objects_removed,
        assets_lost_count=report.assets_lost,
        assets_found_count=report.assets_found,
        removal_withheld=report.is_withheld,
    )
