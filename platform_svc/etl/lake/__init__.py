"""The tables of the lake: Iceberg on S3; the only importer of PyIceberg and PyArrow."""
