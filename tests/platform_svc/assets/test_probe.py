"""The limits under which an untrusted picture is decoded, and what an asset may be."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshkit.errors import Unavailable
from platform_svc.assets.asset import RESULT_KEY, Dimensions, Flaw
from platform_svc.assets.verification import PROBE, probe
from tests.platform_svc.assets.factories import bomb, picture

ATTEMPTS = {
    "memory": "bytearray(2 << 30)",
    "files": "[open('/dev/null') for _ in range(100)]",
    "disk": "open('left-behind', 'wb', buffering=0).write(b'x')",
}


@pytest.mark.parametrize("name", ATTEMPTS)
def test_a_decoder_that_was_taken_over_is_bounded(name: str, tmp_path: Path) -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(PROBE.parent)!r})\n"
        f"import picture_probe\npicture_probe.limit_resources()\n{ATTEMPTS[name]}\n"
    )
    done = subprocess.run(
        [sys.executable, "-B", "-c", code], cwd=tmp_path, capture_output=True, check=False
    )
    assert done.returncode != 0
    assert b"MemoryError" in done.stderr or b"OSError" in done.stderr
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) == 0


@pytest.mark.parametrize(
    ("program", "verdict"),
    [
        ("resource.setrlimit(resource.RLIMIT_CPU, (1, 2))\nwhile True: pass", Flaw.TOO_COSTLY),
        ("os.kill(os.getpid(), signal.SIGSEGV)", Flaw.NOT_DECODABLE),
        ("raise RuntimeError", Flaw.NOT_DECODABLE),
        ("os.kill(os.getpid(), signal.SIGKILL)", None),
        ("os._exit(255)", None),
        ("pass", None),
        ('os.write(1, b\'{"flaw": "too_many_pixels"}\'); os._exit(255)', Flaw.TOO_MANY_PIXELS),
    ],
    ids=["burns time", "crashes", "fails", "is killed", "is lost", "says nothing", "said all"],
)
async def test_how_a_decoder_ends_decides_the_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, verdict: Flaw | None
) -> None:
    stand_in = tmp_path / "probe.py"
    stand_in.write_text(f"import os, resource, signal\n{program}\n")
    monkeypatch.setattr("platform_svc.assets.verification.PROBE", stand_in)
    if verdict is None:
        with pytest.raises(Unavailable):
            await probe(stand_in, "image/png", pixels_max=1)
    else:
        assert await probe(stand_in, "image/png", pixels_max=1) is verdict


async def test_the_probe_sees_no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "PIL.py").write_text("raise SystemExit(0)")
    (tmp_path / "picture").write_bytes(picture())
    found = await probe(tmp_path / "picture", "image/png", pixels_max=100)
    assert found == Dimensions(8, 6)


async def test_the_bound_on_pixels_is_inclusive(tmp_path: Path) -> None:
    file = tmp_path / "picture"
    file.write_bytes(picture(width=8, height=6))
    assert await probe(file, "image/png", pixels_max=48) == Dimensions(8, 6)
    assert await probe(file, "image/png", pixels_max=47) is Flaw.TOO_MANY_PIXELS


async def test_a_bomb_within_the_bound_is_cut_off_by_its_data(tmp_path: Path) -> None:
    file = tmp_path / "bomb"
    file.write_bytes(bomb(width=6000, height=6000))
    assert await probe(file, "image/png", pixels_max=40_000_000) is Flaw.NOT_DECODABLE


@given(st.lists(st.text(alphabet="aZ0._-/ \\%\n", max_size=6), max_size=6))
def test_keys_of_results_are_never_ambiguous(parts: list[str]) -> None:
    key = "/".join(["results", *parts])
    if RESULT_KEY.fullmatch(key):
        names = key.split("/")
        assert all(name and not name.startswith(".") for name in names)
        assert not set(key) & set(" \\%\n")


@given(
    st.lists(
        st.from_regex(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,9}", fullmatch=True), min_size=1, max_size=8
    )
)
def test_plain_keys_of_results_are_taken(names: list[str]) -> None:
    assert RESULT_KEY.fullmatch("/".join(["results", *names]))
