"""The list of a model version's files with their checksums: what makes a folder complete."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

MANIFEST_NAME: Final = "manifest.json"
MANIFEST_BYTES_MAX: Final = 1 << 20
FILES_MAX: Final = 1000
CHUNK_BYTES: Final = 1 << 20


class InvalidManifest(Exception):
    """A manifest cannot be read, or names a file outside of its folder."""


class ChecksumMismatch(Exception):
    """A file is not what its manifest says."""


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file, relative to the version's folder, with `/` between names."""

    path: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """Every file of one model version, by path."""

    files: tuple[FileEntry, ...]

    @property
    def digest(self) -> str:
        """The SHA-256 of the manifest itself: the same files give the same digest."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def to_json(self) -> str:
        """Give the text that is stored beside the files."""
        files = [
            {"path": f.path, "size_bytes": f.size_bytes, "sha256": f.sha256} for f in self.files
        ]
        return json.dumps({"files": files}, indent=1, sort_keys=True) + "\n"


def manifest_of(folder: Path) -> Manifest:
    """Read a folder and give the manifest of its files."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return Manifest(
        tuple(
            FileEntry(
                path=path.relative_to(folder).as_posix(),
                size_bytes=path.stat().st_size,
                sha256=sha256_of(path),
            )
            for path in paths
            if path.name != MANIFEST_NAME
        )
    )


def parse_manifest(data: bytes) -> Manifest:
    """Read a stored manifest.

    Raises:
        InvalidManifest: it is no manifest, or a path leads out of the folder.
    """
    try:
        items = json.loads(data)["files"]
        files = tuple(
            FileEntry(str(i["path"]), int(i["size_bytes"]), str(i["sha256"])) for i in items
        )
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidManifest("the manifest cannot be read") from error
    if not 0 < len(files) <= FILES_MAX:
        raise InvalidManifest(f"the manifest names {len(files)} files")
    for file in files:
        path = PurePosixPath(file.path)
        if path.is_absolute() or ".." in path.parts or "\\" in file.path:
            raise InvalidManifest(f"the path {file.path!r} leads out of the folder")
    return Manifest(files)


def sha256_of(path: Path) -> str:
    """Give a file's SHA-256 in lower-case hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
