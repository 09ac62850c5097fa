"""Nobody reaches a private network through webhooks, by whatever name or form of address."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshkit.testing.clock import START
from platform_svc.notifications.posting import Poster
from platform_svc.notifications.targets import (
    Address,
    Forbidden,
    TargetGuard,
    is_public,
    read_networks,
    unwrapped,
)

from .receiver import receiving

PUBLIC = ["1.1.1.1", "2606:4700:4700::1111", "::ffff:1.1.1.1", "64:ff9b::1.1.1.1"]
PRIVATE = [
    "127.0.0.1",
    "127.9.9.9",
    "0.0.0.0",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1",
    "fec0::1",
    "fc00::1",
    "ff02::1",
    "2001:db8::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::10.0.0.1",
    "64:ff9b:1::10.0.0.1",
    "2002:7f00:1::",
    "2002:a00:1::",
    "2001:0:53aa:64c:0:0:80ff:fffe",
]


def answering(*texts: str):
    async def look_up(host: str, port: int) -> Sequence[Address]:
        return [ipaddress.ip_address(text) for text in texts]

    return look_up


@pytest.mark.parametrize("text", PUBLIC)
async def test_public_addresses_are_admitted(text) -> None:
    target = await TargetGuard(look_up=answering(text)).admit("https://example.com/hook?a=b")
    assert (target.host, target.port) == ("example.com", 443)
    assert target.addresses == (ipaddress.ip_address(text),)


@pytest.mark.parametrize("text", PRIVATE)
async def test_a_name_that_leads_home_is_refused(text) -> None:
    guard = TargetGuard(look_up=answering(text))
    with pytest.raises(Forbidden, match="private network"):
        await guard.admit("https://example.com/")
    # One good address beside it changes nothing.
    with pytest.raises(Forbidden, match="private network"):
        await TargetGuard(look_up=answering("1.1.1.1", text)).admit("https://example.com/")


@pytest.mark.parametrize("text", PRIVATE)
async def test_an_address_in_the_url_is_refused(text) -> None:
    host = f"[{text}]" if ":" in text else text
    with pytest.raises(Forbidden, match="private network"):
        await TargetGuard().admit(f"https://{host}/")


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "0177.0.0.1", "127.1", "localhost"])
async def test_other_ways_to_write_the_loopback_are_refused(host) -> None:
    try:
        with pytest.raises(Forbidden):
            await TargetGuard().admit(f"https://{host}/")
    except socket.gaierror:
        pass  # A resolver that does not know these forms is as good.


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://example.com/", "https"),
        ("https://example.com:22/", "port"),
        ("https://user:word@example.com/", "user or a password"),
        ("ftp://example.com/", "https"),
        ("https://", "host"),
        ("https://example.com:99999/", "no URL"),
        ("https://example.com/a b", "spaces"),
        ("https://[fe80::1%25eth0]/", "private network"),
    ],
)
async def test_urls_of_other_kinds_are_refused(url, problem) -> None:
    with pytest.raises(Forbidden, match=problem):
        await TargetGuard(look_up=answering("1.1.1.1")).admit(url)


async def test_allowed_networks_are_open_and_others_stay_closed() -> None:
    guard = TargetGuard(read_networks("10.1.0.0/16, ::1/128"), answering("10.1.2.3"))
    assert (await guard.admit("http://inside:8080/")).port == 8080
    guard = TargetGuard(guard.allowed, answering("10.2.0.1"))
    with pytest.raises(Forbidden):
        await guard.admit("http://inside:8080/")
    assert (await guard.admit("http://[::1]:9/")).port == 9


def test_networks_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="does not appear"):
        read_networks("10.0.0.0/8,home")


async def test_a_name_that_changes_its_mind_reaches_nothing() -> None:
    """The name is public when it is judged, and leads home when it is dialled."""
    answers = [["1.1.1.1"], ["127.0.0.1"]]

    async def rebinding(host: str, port: int) -> Sequence[Address]:
        return [ipaddress.ip_address(text) for text in answers.pop(0)]

    async with receiving() as receiver:
        guard = TargetGuard(look_up=rebinding)
        await guard.admit("https://example.com/")  # As at creation.
        answer = await Poster(guard).post("https://example.com:8443/", b"{}", {}, now=START)
    assert answer.failure == "not sent: it leads into a private network"
    assert receiver.requests == []


@given(st.integers(min_value=0, max_value=2**32 - 1))
def test_what_is_not_public_is_not_public_inside_of_ipv6(value) -> None:
    inner = ipaddress.IPv4Address(value)
    forms = [
        ipaddress.IPv6Address((0xFFFF << 32) | value),
        ipaddress.IPv6Address((0x0064FF9B << 96) | value),
        ipaddress.IPv6Address((0x2002 << 112) | (value << 80)),
    ]
    for form in forms:
        assert unwrapped(form) == inner
        assert TargetGuard().permits(form) == is_public(inner)
