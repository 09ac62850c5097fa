"""The limits under which an untrusted picture is decoded, and what an asset may be."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshkit.errors import Unavailable
from meshkit.testing.signals import eventually
from platform_svc.assets.asset import RESULT_KEY, Dimensions, Flaw
from platform_svc.assets.probing import PROBE, Probed, probe
from tests.platform_svc.assets.factories import bomb, picture

ATTEMPTS = {
    "memory": "bytearray(2 << 30)",
    "files": "[open('/dev/null') for _ in range(100)]",
    "disk": "open('left-behind', 'wb', buffering=0).write(b'x')",
}

StandIn = Callable[[str], Path]


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """Run another program in the place of the probe."""

    def put(program: str) -> Path:
        file = tmp_path / "probe.py"
        imports = f"import os, resource, signal, sys\nsys.path.insert(0, {str(PROBE.parent)!r})\n"
        file.write_text(f"{imports}import media_probe\n{program}\n")
        monkeypatch.setattr("platform_svc.assets.probing.PROBE", file)
        return file

    return put


@pytest.mark.parametrize("name", ATTEMPTS)
def test_a_decoder_that_was_taken_over_is_bounded(name: str, tmp_path: Path) -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(PROBE.parent)!r})\n"
        f"import media_probe\nmedia_probe.limit_resources()\n{ATTEMPTS[name]}\n"
    )
    done = subprocess.run(
        [sys.executable, "-B", "-c", code], cwd=tmp_path, capture_output=True, check=False
    )
    assert done.returncode != 0
    assert b"MemoryError" in done.stderr or b"OSError" in done.stderr
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) == 0


BEGUN = "os.write(1, media_probe.BEGUN)"
# A preview that is shorter than announced.
LIE = (
    b'{"width": 1, "height": 1, "previews": '
    b'[{"kind": "thumbnail", "width": 1, "height": 1, "size_bytes": 9}]}\nRIFF'
)


@pytest.mark.parametrize(
    ("program", "verdict"),
    [
        ("resource.setrlimit(resource.RLIMIT_CPU, (1, 2))\nwhile True: pass", Flaw.TOO_COSTLY),
        ("os.kill(os.getpid(), signal.SIGSEGV)", Flaw.NOT_DECODABLE),
        ("raise RuntimeError", Flaw.NOT_DECODABLE),
        ("os.kill(os.getpid(), signal.SIGKILL)", None),
        ("pass", None),
        ('os.write(1, b\'{"flaw": "too_many_pixels"}\'); os._exit(255)', Flaw.TOO_MANY_PIXELS),
        ("while True: os.write(1, bytes(65536))", Flaw.NOT_DECODABLE),
        (f"os.write(1, {LIE!r})", Flaw.NOT_DECODABLE),
    ],
    ids=[
        "burns time",
        "crashes",
        "fails",
        "is killed",
        "says nothing",
        "said all",
        "floods",
        "lies",
    ],
)
async def test_how_a_decoder_ends_decides_the_verdict(
    stand_in: StandIn, program: str, verdict: Flaw | None
) -> None:
    file = stand_in(f"{BEGUN}\n{program}")
    if verdict is None:
        with pytest.raises(Unavailable):
            await probe(file, "image/png", pixels_max=1)
    else:
        assert await probe(file, "image/png", pixels_max=1) is verdict


@pytest.mark.parametrize(
    "end",
    ["os.kill(os.getpid(), signal.SIGSEGV)", "os.abort()", "raise RuntimeError", "os._exit(255)"],
)
async def test_an_end_before_the_picture_was_looked_at_is_no_verdict(
    stand_in: StandIn, end: str
) -> None:
    with pytest.raises(Unavailable):
        await probe(stand_in(end), "image/png", pixels_max=1)


async def test_a_canceled_verification_leaves_no_process(stand_in: StandIn, tmp_path: Path) -> None:
    file = stand_in("open('pid', 'w').write(str(os.getpid()))\nwhile True: signal.pause()")
    probing = asyncio.create_task(probe(file, "image/png", pixels_max=1))

    async def started() -> bool:
        return (tmp_path / "pid").exists() and bool((tmp_path / "pid").read_text())

    await eventually(started)
    probing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await probing
    assert not psutil.pid_exists(int((tmp_path / "pid").read_text()))


FORKED = """
import ctypes, sys
from pathlib import Path
from meshkit.server import run
from platform_svc.assets.probing import probe

libc = ctypes.CDLL(None)
libc.__register_atfork(None, None, ctypes.cast(libc.abort, ctypes.c_void_p), None)

async def main():
    print((await probe(Path(sys.argv[1]), "image/png", pixels_max=100)).dimensions)

run(main)
"""


def test_what_libraries_do_after_a_fork_does_not_reach_the_probe(tmp_path: Path) -> None:
    # gRPC's handlers start threads in the child, which now and then crash it; this one always does.
    (tmp_path / "picture").write_bytes(picture())
    done = subprocess.run(
        [sys.executable, "-c", FORKED, str(tmp_path / "picture")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == (f"{Dimensions(8, 6)}\n", "")


async def test_the_probe_sees_no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "PIL.py").write_text("raise SystemExit(0)")
    (tmp_path / "picture").write_bytes(picture())
    found = await probe(tmp_path / "picture", "image/png", pixels_max=100)
    assert isinstance(found, Probed)
    assert found.dimensions == Dimensions(8, 6)


async def test_the_bound_on_pixels_is_inclusive(tmp_path: Path) -> None:
    file = tmp_path / "picture"
    file.write_bytes(picture(width=8, height=6))
    assert isinstance(await probe(file, "image/png", pixels_max=48), Probed)
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
