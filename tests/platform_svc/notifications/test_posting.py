"""One webhook over TLS, and what becomes of answers that are slow, large or odd."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from meshkit.testing.clock import START
from platform_svc.notifications import posting
from platform_svc.notifications.posting import Poster
from platform_svc.notifications.targets import Address, TargetGuard, read_networks

from .receiver import Receiver, receiving

NAME = "hooks.example.com"
HERE = ipaddress.ip_address("127.0.0.1")


async def names(host: str, port: int) -> Sequence[Address]:
    return [HERE]


GUARD = TargetGuard(read_networks("127.0.0.0/8"), names)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for the name, and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2100, 1, 1, tzinfo=UTC))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "certificate.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.fixture
async def secure(certificate: Path) -> AsyncIterator[Receiver]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    async with receiving(context) as receiver:
        receiver.url = receiver.url.replace("127.0.0.1", NAME)
        yield receiver


async def test_the_name_of_the_url_is_what_the_certificate_must_prove(secure, certificate) -> None:
    trust = ssl.create_default_context(cafile=str(certificate))
    answer = await Poster(GUARD, trust).post(secure.url, b"{}", {}, now=START)
    assert (answer.status, answer.failure) == (204, "")
    assert secure.requests[0][0]["host"].startswith(NAME)
    other = secure.url.replace(NAME, "other.example.com")
    answer = await Poster(GUARD, trust).post(other, b"{}", {}, now=START)
    assert answer.failure == "no answer: its certificate is not trusted"


async def test_a_certificate_of_nobody_known_is_not_trusted(secure) -> None:
    answer = await Poster(GUARD).post(secure.url, b"{}", {}, now=START)
    assert answer.failure == "no answer: its certificate is not trusted"
    assert secure.requests == []


@pytest.mark.parametrize(
    "host",
    ["HOOKS.Example.com", "b\N{LATIN SMALL LETTER U WITH DIAERESIS}cher.example", "hooks.example."],
)
async def test_names_are_reached_however_they_are_spelled(receiver, host) -> None:
    url = receiver.url.replace("127.0.0.1", host)
    answer = await Poster(GUARD).post(url, b"{}", {}, now=START)
    assert answer.failure == ""


@pytest.mark.parametrize(
    ("text", "pause"),
    [
        ("120", timedelta(seconds=120)),
        ("Sat, 10 Jan 2026 10:00:00 GMT", timedelta(hours=1)),
        ("Fri, 09 Jan 2026 10:00:00 GMT", timedelta(0)),
        ("9" * 400, timedelta(seconds=999_999_999)),
        ("soon", None),
        ("", None),
    ],
)
async def test_retry_after_is_read_in_both_forms(receiver, text, pause) -> None:
    receiver.answers = [web.Response(status=429, headers={"retry-after": text})]
    answer = await Poster(GUARD).post(receiver.url, b"{}", {}, now=START)
    assert (answer.status, answer.retry_after) == (429, pause)


async def test_who_does_not_answer_in_time_is_left(receiver, monkeypatch) -> None:
    monkeypatch.setattr(posting, "SECONDS_MAX", 0.05)
    receiver.may_answer.clear()
    answer = await Poster(GUARD).post(receiver.url, b"{}", {}, now=START)
    receiver.may_answer.set()
    assert answer.failure.startswith("no answer within")


async def test_an_answer_that_is_no_http_is_a_failure() -> None:
    async def talk(_reader, writer) -> None:
        writer.write(b"220 mail.example.com ESMTP\r\n")
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        answer = await Poster(GUARD).post(url, b"{}", {}, now=START)
    assert answer.status == 0
    assert answer.failure.startswith("no answer: ")
