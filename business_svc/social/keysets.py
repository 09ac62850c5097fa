"""Where a page of a listing begins: the sort key of the last row of the page before it."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from meshkit.errors import InvalidPageToken
from meshkit.pages import decode_page_token, encode_page_token

T = TypeVar("T")

PAGE_SIZE_DEFAULT = 20


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some rows; `next_page_token` is empty on the last page."""

    rows: Sequence[T]
    next_page_token: str


@dataclass(frozen=True, slots=True)
class Asked:
    """What a caller asked of a listing; a size of 0 means 20."""

    page_size: int
    page_token: str

    @property
    def count(self) -> int:
        """How many rows the page has at most."""
        return self.page_size or PAGE_SIZE_DEFAULT

    def after_id(self, listing: str) -> uuid.UUID | None:
        """Return the id after which the page begins, None for the first page.

        Raises:
            InvalidPageToken: the token is of another listing.
        """
        if not self.page_token:
            return None
        match decode_page_token(self.page_token):
            case (kind, str(text)) if kind == listing:
                return uuid.UUID(text)
            case _:
                raise InvalidPageToken("page_token is of another list")

    def after_moment(self, listing: str) -> tuple[datetime, uuid.UUID] | None:
        """Return the time and id after which the page begins. Raises as `after_id` does."""
        if not self.page_token:
            return None
        match decode_page_token(self.page_token):
            case (kind, str(moment), str(text)) if kind == listing:
                return datetime.fromisoformat(moment), uuid.UUID(text)
            case _:
                raise InvalidPageToken("page_token is of another list")


def id_token(listing: str, last: uuid.UUID) -> str:
    """Return the token for the page after the row with this id."""
    return encode_page_token([listing, last.hex])


def moment_token(listing: str, moment: datetime, last: uuid.UUID) -> str:
    """Return the token for the page after the row with this time and id."""
    return encode_page_token([listing, moment.isoformat(), last.hex])
