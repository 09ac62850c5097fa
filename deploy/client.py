"""A small client of the public REST contract, for the commands and the journeys."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

import httpx

from meshkit.clock import Ambient

TIMEOUT_SECONDS: Final = 30.0
# A stream of events may be silent while a run waits in a queue.
STREAM_TIMEOUT_SECONDS: Final = 300.0
# A part that was killed is back within seconds; a call with an idempotency key may wait for it.
ATTEMPTS_MAX: Final = 8
FIRST_RETRY_SECONDS: Final = 0.25
RETRIED_STATUSES: Final = frozenset({502, 503, 504})
TERMINAL_STATES: Final = frozenset({"succeeded", "failed", "canceled", "expired"})

Document = dict[str, Any]


class ApiError(Exception):
    """A refusal: HTTP status, `google.rpc.Status` code, stable reason and message."""

    def __init__(self, status: int, document: Mapping[str, Any]) -> None:
        self.status = status
        self.code = document.get("code")
        self.message = str(document.get("message") or f"HTTP status {status}")
        infos = [one for one in document.get("details", []) if "reason" in one]
        self.reason = str(infos[0]["reason"]) if infos else ""
        super().__init__(f"{self.message} ({self.reason or status})")


class Unreachable(Exception):
    """The gateway does not answer."""


@dataclass(frozen=True)
class Session:
    """Who is signed in."""

    user_id: str
    org_id: str
    access_token: str
    refresh_token: str

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Session:
        """Read the answer to sign-up, sign-in and refresh."""
        user, session = document["user"], document["session"]
        return cls(
            user["user_id"],
            user["personal_org_id"],
            session["access_token"],
            session["refresh_token"],
        )


class ReelmeshClient:
    """Calls one gateway, as nobody or as the user of `session`; close by leaving.

    Calls act in the organization `acting_in`, or in the user's own without one; `email` is the
    address that was last signed up or in with.
    """

    def __init__(self, gateway_url: str, session: Session | None = None) -> None:
        self.session = session
        self.acting_in: str | None = None
        self.email: str | None = None
        self._ambient = Ambient()
        self._http = httpx.AsyncClient(
            base_url=gateway_url, timeout=TIMEOUT_SECONDS, trust_env=False
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._http.aclose()

    async def sign_up(self, email: str, password: str, display_name: str) -> Session:
        """Make a user and become it."""
        self.email = email
        body = {"email": email, "password": password, "display_name": display_name}
        return self._become(await self.call("POST", "/v1/auth/sign-up", body))

    async def sign_in(self, email: str, password: str) -> Session:
        """Become a user."""
        self.email = email
        body = {"email": email, "password": password}
        return self._become(await self.call("POST", "/v1/auth/sign-in", body))

    async def refresh(self) -> Session:
        """Trade the refresh token for a new pair."""
        body = {"refresh_token": self._signed_in().refresh_token}
        return self._become(await self.call("POST", "/v1/auth/refresh", body))

    async def balance(self) -> Document:
        """Give the credits of the user's own organization."""
        return await self.call("GET", f"/v1/orgs/{self._signed_in().org_id}/balance")

    async def ledger(self) -> list[Document]:
        """Give the newest postings of the user's own organization."""
        path = f"/v1/orgs/{self._signed_in().org_id}/ledger?page_size=200"
        entries: list[Document] = (await self.call("GET", path))["entries"]
        return entries

    async def estimate(self, tool: str, inputs: Mapping[str, Any], count: int = 1) -> int:
        """Give the most that a run can cost, in credits."""
        body = {"inputs": dict(inputs), "count": count}
        return int((await self.call("POST", f"/v1/tools/{tool}:estimate", body))["credits"])

    async def run(
        self, tool: str, inputs: Mapping[str, Any], count: int = 1, *, key: str | None = None
    ) -> Document:
        """Start a run; the same key gives the same run."""
        body = {"inputs": dict(inputs), "count": count}
        return await self.call("POST", f"/v1/tools/{tool}:run", body, key=key)

    async def get_run(self, run_id: str) -> Document:
        """Give a run."""
        return await self.call("GET", f"/v1/runs/{run_id}")

    async def cancel(self, run_id: str) -> Document:
        """Ask for the end of a run."""
        return await self.call("POST", f"/v1/runs/{run_id}:cancel", {})

    async def watch(self, run_id: str) -> AsyncIterator[Document]:
        """Give the run each time it changes, until the stream ends."""
        timeout = httpx.Timeout(TIMEOUT_SECONDS, read=STREAM_TIMEOUT_SECONDS)
        path = f"/v1/runs/{run_id}:watch"
        headers = self._headers() | {"accept": "text/event-stream"}
        try:
            async with self._http.stream("GET", path, headers=headers, timeout=timeout) as answer:
                if answer.is_error:
                    await answer.aread()
                    raise _refusal(answer)
                async for line in answer.aiter_lines():
                    if line.startswith("data:"):
                        yield json.loads(line.removeprefix("data:"))
        except httpx.HTTPError as error:
            raise Unreachable(f"the stream broke: {type(error).__name__}") from error

    async def follow(self, run_id: str) -> AsyncIterator[Document]:
        """Give the run each time it changes until it is finished, over broken streams too."""
        while True:
            run: Document = {}
            try:
                async for run in self.watch(run_id):
                    yield run
                    if run["state"] in TERMINAL_STATES:
                        return
            except Unreachable:
                pass
            except ApiError as error:
                if error.status not in RETRIED_STATUSES:
                    raise
            run = await self.get_run(run_id)
            yield run
            if run["state"] in TERMINAL_STATES:
                return

    async def finished(self, run_id: str) -> Document:
        """Give the run when it is finished."""
        last: Document = {}
        async for run in self.follow(run_id):
            last = run
        return last

    async def download(self, asset_id: str) -> bytes:
        """Give the bytes of an asset, by way of the redirect to the object store."""
        answer = await self._send("GET", f"/v1/assets/{asset_id}/download", None, {})
        location = answer.headers.get("location")
        if location is None:
            raise ApiError(answer.status_code, {"message": "the download has no location"})
        return await self._fetch(location)

    async def upload(self, data: bytes, filename: str, content_type: str) -> Document:
        """Upload a file and give the asset when it is ready."""
        made = await self.call(
            "POST",
            "/v1/assets",
            {
                "filename": filename,
                "content_type": content_type,
                "size_bytes": len(data),
                "sha256": hashlib.sha256(data).hexdigest(),
            },
        )
        upload = made["upload"]
        async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS, trust_env=False) as store:
            answer = await store.request(
                upload["method"], upload["url"], headers=upload["headers"], content=data
            )
        if answer.is_error:
            raise ApiError(answer.status_code, {"message": "the object store refused the upload"})
        return await self.call("POST", f"/v1/assets/{made['asset']['asset_id']}:complete", {})

    async def call(
        self, method: str, path: str, body: object = None, *, key: str | None = None
    ) -> Document:
        """Make one call; a mutating one carries an idempotency key, so it may be retried.

        Raises:
            ApiError: it was refused.
            Unreachable: nothing answered, also after retries.
        """
        headers = {}
        if method != "GET":
            headers["idempotency-key"] = key or str(self._ambient.new_id())
        answer = await self._send(method, path, body, headers)
        document: Document = answer.json()
        return document

    async def _send(
        self, method: str, path: str, body: object, headers: Mapping[str, str]
    ) -> httpx.Response:
        failure: Exception = Unreachable("not tried")
        for attempt in range(ATTEMPTS_MAX):
            if attempt:
                await asyncio.sleep(FIRST_RETRY_SECONDS * 2**attempt)
            try:
                answer = await self._http.request(
                    method, path, json=body, headers=self._headers() | dict(headers)
                )
            except httpx.TransportError as error:
                failure = Unreachable(f"the gateway does not answer: {type(error).__name__}")
                continue
            if answer.is_error:
                failure = _refusal(answer)
                if answer.status_code in RETRIED_STATUSES:
                    continue
                raise failure
            return answer
        raise failure

    async def _fetch(self, url: str) -> bytes:
        # The presigned URL is the permission; our token is not for the store.
        async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS, trust_env=False) as store:
            answer = await store.get(url)
        if answer.is_error:
            raise ApiError(answer.status_code, {"message": "the object store refused the download"})
        return answer.content

    def _headers(self) -> dict[str, str]:
        if self.session is None:
            return {}
        headers = {"authorization": f"Bearer {self.session.access_token}"}
        if self.acting_in is not None:
            headers["x-reelmesh-org"] = self.acting_in
        return headers

    def _signed_in(self) -> Session:
        assert self.session is not None, "sign in first"
        return self.session

    def _become(self, document: Mapping[str, Any]) -> Session:
        self.session = Session.from_document(document)
        return self.session


def _refusal(answer: httpx.Response) -> ApiError:
    try:
        document = answer.json()
    except ValueError:
        document = {}
    return ApiError(answer.status_code, document if isinstance(document, dict) else {})
