"""The first steps of README and guide: every line works when it is typed in order."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import ocsync
from ocsync.emulator import EmulatorOptions, serve_in_thread

ROOT = Path(ocsync.__file__).parent.parent
README = ROOT / "README.md"
GUIDE = ROOT / "ocsync" / "guide" / "getting-started.md"
PORT = "8765"

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the lines are typed into a shell")


def lines_below(path: Path, heading: str) -> list[str]:
    """The code of a section."""
    section = path.read_text(encoding="utf-8").partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return [line[4:] for line in section.splitlines() if line.startswith("    ")]


@pytest.mark.parametrize(("path", "heading"), [
    (README, "Ten minutes on the emulator"), (GUIDE, "On the emulator"),
], ids=["readme", "guide"])  # fmt: skip
def test_every_line_works(path: Path, heading: str, executable: Path, tmp_path: Path) -> None:
    """The emulator of the first line runs in this process."""
    lines = lines_below(path, heading)
    assert len([line for line in lines if line.startswith("ocsync ")]) > 10
    started = next(line for line in lines if line.startswith("ocsync emulator"))
    kept = [line for line in lines if line != started and not re.match(r"sleep|kill", line)]
    products = int(re.search(r"--products (\d+)", started)[1])  # type: ignore[index]
    with serve_in_thread(EmulatorOptions(products=products)) as emulator:
        script = "\n".join(["set -eu", *kept]).replace(f"http://127.0.0.1:{PORT}", emulator.url)
        found = [str(executable.parent), str(Path(sys.executable).parent), os.environ["PATH"]]
        done = subprocess.run(
            ["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False,
            stdin=subprocess.DEVNULL, env={**os.environ, "PATH": os.pathsep.join(found)},
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.count("✓ complete: 3 edits in 3 requests") == 2, done.stdout
        assert not [c for c in emulator.emulator.market.sync_configs.values() if c["Paused"]]
