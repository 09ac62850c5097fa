"""Every way a jobs call may refuse, with the status a caller sees."""

from __future__ import annotations

import uuid
from typing import ClassVar

import grpc

from meshkit.errors import ServiceError
from meshkit.ids import format_id


class ModelNotFound(ServiceError):
    """No registered model has this name and serves this task."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.NOT_FOUND
    reason: ClassVar[str] = "MODEL_NOT_FOUND"

    def __init__(self, *, model: str, task: str) -> None:
        super().__init__("no such model for this task", model=model, task=task)


class JobNotFound(ServiceError):
    """No job has this id."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.NOT_FOUND
    reason: ClassVar[str] = "JOB_NOT_FOUND"

    def __init__(self, job_id: uuid.UUID) -> None:
        super().__init__("no such job", job_id=format_id("job", job_id))
