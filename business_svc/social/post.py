"""Posts and comments: frozen values, without I/O."""

from __future__ import annotations

import enum
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from business_svc.social.profile import Author

# What one user may do within an hour.
HOUR: Final = timedelta(hours=1)
POSTS_PER_HOUR_MAX: Final = 60
REMIXES_PER_HOUR_MAX: Final = 60
COMMENTS_PER_HOUR_MAX: Final = 200
REPORTS_PER_HOUR_MAX: Final = 100


class State(enum.StrEnum):
    """Whether a post or a comment can be seen."""

    PUBLISHED = "published"
    TAKEN_DOWN = "taken_down"
    DELETED = "deleted"


class Visibility(enum.StrEnum):
    """Who may see a post that is published."""

    PUBLIC = "public"
    FOLLOWERS = "followers"


class MediaKind(enum.StrEnum):
    """What a post may show; the value is part of every reference that is stored."""

    ASSET = "asset"


@dataclass(frozen=True, slots=True)
class MediaReference:
    """What a post shows, by kind; the id is that of the kind's own service."""

    kind: MediaKind
    id: uuid.UUID


@dataclass(frozen=True, slots=True)
class Media:
    """What a post shows, as it was when it was posted; sizes in pixels, 0 if unknown."""

    reference: MediaReference
    content_type: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Lineage:
    """What a picture was made of: the tool, and the posts with the runs that used them."""

    tool: str = ""
    run_id: uuid.UUID | None = None
    parents: Mapping[uuid.UUID, uuid.UUID] = field(default_factory=dict)  # Post to run.


@dataclass(frozen=True, slots=True)
class Draft:
    """A post that is to be made."""

    author_id: uuid.UUID
    organization_id: uuid.UUID
    reference: MediaReference
    caption: str
    alt_text: str
    visibility: Visibility
    allows_remix: bool


@dataclass(frozen=True, slots=True)
class Counts:
    """What others made of a post; recounted from the facts within seconds."""

    likes: int = 0
    comments: int = 0
    remixes: int = 0


@dataclass(frozen=True, slots=True)
class Post:
    """Something that its author shows."""

    id: uuid.UUID
    author_id: uuid.UUID
    organization_id: uuid.UUID
    media: Media
    caption: str
    alt_text: str
    visibility: Visibility
    allows_remix: bool
    state: State
    tool: str
    run_id: uuid.UUID | None
    remix_depth: int
    created_at: datetime
    edited_at: datetime | None = None
    counts: Counts = Counts()


@dataclass(frozen=True, slots=True)
class PostView:
    """A post as one viewer sees it."""

    post: Post
    author: Author
    liked: bool = False


@dataclass(frozen=True, slots=True)
class PostChange:
    """What is to change of a post; None leaves things as they are."""

    caption: str | None = None
    alt_text: str | None = None
    visibility: Visibility | None = None
    allows_remix: bool | None = None


@dataclass(frozen=True, slots=True)
class Ancestor:
    """A post that another one was made of; `view` is None if the viewer may not see it."""

    post_id: uuid.UUID
    child_id: uuid.UUID
    distance: int
    run_id: uuid.UUID
    view: PostView | None = None


@dataclass(frozen=True, slots=True)
class Comment:
    """What somebody said about a post."""

    id: uuid.UUID
    post_id: uuid.UUID
    author: Author
    text: str
    created_at: datetime
