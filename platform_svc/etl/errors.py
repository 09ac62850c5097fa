"""Every way an ETL call may refuse, with the status a caller sees."""

from __future__ import annotations

from typing import ClassVar

import grpc

from meshkit.errors import ServiceError


class EtlRunNotFound(ServiceError):
    """No run has this id, or it is older than 30 days."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.NOT_FOUND
    reason: ClassVar[str] = "ETL_RUN_NOT_FOUND"

    def __init__(self, etl_run_id: str) -> None:
        super().__init__("no such run", etl_run_id=etl_run_id)


class MartNotMade(ServiceError):
    """No run has made this yet."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.NOT_FOUND
    reason: ClassVar[str] = "MART_NOT_MADE"

    def __init__(self, mart: str) -> None:
        super().__init__("no run has made this yet; ask for one", mart=mart)
