"""Each folder in examples runs as it is, against the emulator."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ocsync.emulator import Options, running
from tests.builders import Shop

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.mark.skipif(os.name != "posix", reason="the examples are shell scripts")
@pytest.mark.parametrize("name", sorted(p.name for p in EXAMPLES.iterdir() if p.is_dir()))
def test_the_example_runs(name: str, tmp_path: Path) -> None:
    place = tmp_path / name
    shutil.copytree(EXAMPLES / name, place)
    with running(Options(seed=place / "seed.toml")) as emulator:
        environment = {
            **os.environ,
            "OCSYNC_URL": emulator.url,
            "OCSYNC_WORKSPACE": str(tmp_path / ".ocsync"),
            "PATH": str(Path(sys.executable).parent) + os.pathsep + os.environ["PATH"],
        }
        done = subprocess.run(
            ["sh", str(place / "run.sh")],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "✓ complete" in done.stdout
        shop = Shop(emulator.url, emulator.emulator)
        if name == "stocktake":
            record = shop.get("/products/tent/inventoryrecords/shelf-2")
            assert (record["QuantityAvailable"], record["xp"]) == (11, {"counted": "2027-01-04"})
        assert not any(c["Paused"] for c in emulator.emulator.market.configs.values())


def test_every_example_is_in_the_list() -> None:
    listed = (EXAMPLES / "README.md").read_text()
    assert all(f"`{p.name}`" in listed for p in EXAMPLES.iterdir() if p.is_dir())
