"""Generates the Python stubs and the descriptor set of every proto under `protos/`.

Run as `python protos/generate.py`. The result lies in `protos/gen/`, which git ignores.
"""

from __future__ import annotations

import importlib
import shutil
import sys
from importlib import resources
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent
FINAL = ROOT / "gen"
OUTPUT = ROOT / "gen.new"
INCLUDE = OUTPUT / "include"
VALIDATE = ROOT.parent / "third_party" / "protovalidate"
ENVOY = ROOT.parent / "third_party" / "envoy"
# A module of each package, to find its folder: the packages themselves are namespaces.
ANCHORS = {"google/api": "http_pb2", "google/rpc": "status_pb2"}


def main() -> int:
    """Regenerate everything; returns protoc's exit status."""
    shutil.rmtree(OUTPUT, ignore_errors=True)
    INCLUDE.mkdir(parents=True)
    _copy_googleapis()
    sources = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("reelmesh/**/*.proto"))
    # The transcoder can print error details only if it knows their types.
    extras = ["google/rpc/error_details.proto", "google/rpc/status.proto"]
    protoc_include = str(resources.files("grpc_tools") / "_proto")
    includes = [f"-I{path}" for path in (ROOT, VALIDATE, ENVOY, INCLUDE, protoc_include)]
    stubs = [
        "protoc",
        *includes,
        f"--python_out={OUTPUT}",
        f"--pyi_out={OUTPUT}",
        f"--grpc_python_out={OUTPUT}",
        f"--mypy_grpc_out={OUTPUT}",
        "--mypy_grpc_opt=quiet",
        f"--plugin=protoc-gen-mypy_grpc={Path(sys.executable).parent / 'protoc-gen-mypy_grpc'}",
        *sources,
        "buf/validate/validate.proto",
        "envoy_ext_authz/v3/external_auth.proto",
    ]
    descriptors = [
        "protoc",
        *includes,
        "--include_imports",
        "--include_source_info",
        f"--descriptor_set_out={OUTPUT / 'reelmesh' / 'descriptors.binpb'}",
        *sources,
        *extras,
    ]
    status = int(protoc.main(stubs)) or int(protoc.main(descriptors))
    if status == 0:
        # Swapped at the end, so that a failed run leaves the old stubs in place.
        shutil.rmtree(FINAL, ignore_errors=True)
        OUTPUT.rename(FINAL)
    return status


def _copy_googleapis() -> None:
    for package, module in ANCHORS.items():
        anchor = importlib.import_module(f"{package.replace('/', '.')}.{module}")
        source = Path(str(anchor.__file__)).parent
        for proto in source.glob("*.proto"):
            target = INCLUDE / package / proto.name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(proto, target)


if __name__ == "__main__":
    raise SystemExit(main())
