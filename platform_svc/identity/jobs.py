"""Background work of the identity service: hands owed mails over and forgets what is over."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from meshkit.clock import Ambient
from meshkit.tasks import attempt, periodic
from platform_svc.identity.accounts import User
from platform_svc.identity.code_store import CodeStore
from platform_svc.identity.codes import CODE_BYTES, LIFETIMES, Purpose, mint
from platform_svc.identity.errand_store import ErrandStore
from platform_svc.identity.errands import Errand, ErrandKind, pause_after
from platform_svc.identity.outgoing_mail import OwedMail, PostOffice
from platform_svc.identity.store import IdentityStore
from platform_svc.identity.throttle import FORGET_AFTER_MAX

INTERVAL = timedelta(hours=1)
# Ended sessions are kept for those who look into an incident.
SESSIONS_KEPT = timedelta(days=30)
POLL_SECONDS = 1.0
BATCH_MAX = 20
# Longer than a hand-over may take; a process that dies leaves its errands to others after it.
LEASE = timedelta(seconds=30)
PURPOSES = {
    ErrandKind.VERIFY_EMAIL: Purpose.VERIFY_EMAIL,
    ErrandKind.RESET_PASSWORD: Purpose.RESET_PASSWORD,
}


@dataclass(frozen=True, slots=True)
class Forgetting:
    """Deletes what nothing reads any more."""

    sessions: async_sessionmaker[AsyncSession]
    ambient: Ambient

    async def run(self) -> None:
        """Forget at each interval."""
        await periodic("identity-forgetting", INTERVAL.total_seconds(), self.forget)

    async def forget(self) -> None:
        """Delete old attempts, long-ended sessions and codes that are over."""
        now = self.ambient.now()
        async with self.sessions.begin() as session:
            store = IdentityStore(session)
            await store.delete_tallies(before=now - FORGET_AFTER_MAX)
            await store.delete_sessions(before=now - SESSIONS_KEPT)
            await CodeStore(session).delete_expired(before=now)


@dataclass(frozen=True, slots=True)
class ErrandRunner:
    """Hands owed mails over at least once; any number of runners may run.

    The code that a mail carries is made here, so it is nowhere in clear but in the mail. A
    hand-over that is repeated makes another code, and the mail that came first stays good too.
    """

    sessions: async_sessionmaker[AsyncSession]
    ambient: Ambient
    post_office: PostOffice
    left: asyncio.Event

    async def run(self) -> None:
        """Run errands for ever: at once after one was left here, else every second."""
        while True:
            self.left.clear()
            while await self.run_batch() == BATCH_MAX:
                pass
            try:
                async with asyncio.timeout(POLL_SECONDS):
                    await self.left.wait()
            except TimeoutError:
                continue

    async def run_batch(self) -> int:
        """Try up to 20 errands that are due and say how many there were."""
        async with self.sessions.begin() as session:
            claimed = await ErrandStore(session).claim(
                now=self.ambient.now(), lease=LEASE, count=BATCH_MAX
            )
        # One errand that fails in an unforeseen way must not hold up the others.
        await asyncio.gather(*(attempt("identity-errands", self._run(one)) for one in claimed))
        return len(claimed)

    async def _run(self, errand: Errand) -> None:
        async with self.sessions.begin() as session:
            mail = await self._mail(session, errand)
        done = mail is None or await self.post_office.take(mail)
        async with self.sessions.begin() as session:
            store = ErrandStore(session)
            if done:
                await store.delete(errand.id)
            else:
                until = self.ambient.now() + pause_after(errand.attempts)
                await store.postpone(errand.id, until=until)

    async def _mail(self, session: AsyncSession, errand: Errand) -> OwedMail | None:
        """Write the mail that the errand asks for; None if it is for nobody."""
        key = f"identity:{errand.id}"
        if errand.kind is ErrandKind.ACCOUNT_DELETED:
            assert errand.address is not None
            parameters = {"display_name": errand.display_name or errand.address}
            return OwedMail(key, errand.kind, errand.address, parameters)
        user = await _user(session, errand)
        if user is None:
            return None
        parameters = {"display_name": user.display_name}
        purpose = PURPOSES.get(errand.kind)
        if purpose is None:
            return OwedMail(key, errand.kind, user.email, parameters)
        code, text = mint(
            purpose,
            user.id,
            code_id=self.ambient.new_id(),
            random=secrets.token_bytes(CODE_BYTES),
            now=self.ambient.now(),
        )
        CodeStore(session).add(code)
        minutes = int(LIFETIMES[purpose].total_seconds()) // 60
        return OwedMail(
            key=f"identity:{code.id}",
            template=errand.kind,
            recipient=user.email,
            parameters=parameters | {"code": text, "minutes": str(minutes)},
            expires_at=code.expires_at,
        )


async def _user(session: AsyncSession, errand: Errand) -> User | None:
    store = IdentityStore(session)
    if errand.user_id is not None:
        return await store.user(errand.user_id)
    assert errand.address is not None
    credential = await store.credential_at(errand.address)
    return None if credential is None else credential.user
