"""Opens the lake: the catalogue in Postgres, the files on S3."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.partitioning import UNPARTITIONED_PARTITION_SPEC, PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table import Table
from pyiceberg.transforms import IdentityTransform
from sqlalchemy.engine import make_url

from meshkit.object_store import S3Settings

NAME: Final = "reelmesh"
SCHEMA: Final = "etl"
FOLDER: Final = "analytics"
FIRST_PARTITION_FIELD_ID: Final = 1000
TABLE_PROPERTIES: Final = {
    "format-version": "2",
    # One process commits. If another one does all the same, the commit must fail and not be
    # repeated on top of it: what it read has changed.
    "commit.retry.num-retries": "0",
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "20",
    "write.parquet.compression-codec": "zstd",
}


@dataclass(frozen=True, slots=True)
class TableSpec:
    """A table of the lake as it is declared here; `partition` names a column, or none."""

    namespace: str
    name: str
    schema: Schema
    partition: str = ""

    @property
    def identifier(self) -> str:
        """Its name in the catalogue."""
        return f"{self.namespace}.{self.name}"

    def partitions(self) -> PartitionSpec:
        """Give how its files are laid out."""
        if not self.partition:
            return UNPARTITIONED_PARTITION_SPEC
        field = self.schema.find_field(self.partition)
        return PartitionSpec(
            PartitionField(
                field.field_id, FIRST_PARTITION_FIELD_ID, IdentityTransform(), self.partition
            )
        )


@dataclass(frozen=True, slots=True)
class Lake:
    """The catalogue, and the making of tables."""

    catalog: SqlCatalog

    def table(self, spec: TableSpec) -> Table:
        """Give a table, made if it is absent."""
        self.catalog.create_namespace_if_not_exists(spec.namespace)
        return self.catalog.create_table_if_not_exists(
            spec.identifier,
            spec.schema,
            partition_spec=spec.partitions(),
            properties=TABLE_PROPERTIES,
        )


@contextmanager
def opened(database_url: str, s3: S3Settings) -> Iterator[Lake]:
    """Open the lake; its tables of the catalogue must have been migrated."""
    catalog = SqlCatalog(NAME, **catalogue_properties(database_url, s3))
    try:
        yield Lake(catalog)
    finally:
        catalog.close()


def catalogue_properties(database_url: str, s3: S3Settings) -> Mapping[str, str]:
    """Give what PyIceberg has to know; holds secrets."""
    url = make_url(database_url).set(drivername="postgresql+psycopg")
    found = url.update_query_dict({"options": f"-csearch_path={SCHEMA}"})
    return {
        "uri": found.render_as_string(hide_password=False),
        "init_catalog_tables": "false",
        "pool_pre_ping": "true",
        "warehouse": f"s3://{s3.bucket}/{FOLDER}",
        "py-io-impl": "pyiceberg.io.pyarrow.PyArrowFileIO",
        "s3.endpoint": s3.endpoint,
        "s3.region": s3.region,
        "s3.access-key-id": s3.access_key,
        "s3.secret-access-key": s3.secret_key,
        "s3.force-virtual-addressing": str(s3.addressing_style == "virtual").lower(),
    }
