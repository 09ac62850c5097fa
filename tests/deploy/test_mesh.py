from __future__ import annotations

from deploy.local.layout import Layout
from deploy.local.mesh import LocalMesh
from tests.deploy.programs import Recorder


def test_a_region_gets_no_way_to_database_bus_or_user_tokens(
    layout: Layout, recorder: Recorder
) -> None:
    mesh = LocalMesh(layout, ["us-east", "eu-west"], recorder)

    components = {one.name: one for one in mesh._components()}

    assert "REELMESH_DATABASE_URL" in components["scheduler"].environment
    for region in ("us-east", "eu-west"):
        given = components[f"region-{region}-agent"].environment
        ours = {name for name in given if name.startswith("REELMESH_")}
        assert ours == {
            *("REELMESH_LOG_LEVEL", "REELMESH_INFERENCE_ADDRESS", "REELMESH_METRICS_LISTEN"),
            *("REELMESH_REGION", "REELMESH_RAY_ADDRESS", "REELMESH_SERVICE_KEY_FILE"),
            *("REELMESH_MODELS_DIR", "REELMESH_DEVICE", "REELMESH_S3_ENDPOINT"),
            *("REELMESH_S3_REGION", "REELMESH_S3_BUCKET", "REELMESH_S3_ACCESS_KEY_FILE"),
            "REELMESH_S3_SECRET_KEY_FILE",
        }
        assert given["REELMESH_SERVICE_KEY_FILE"].endswith(f"region-{region}.pem")
