"""The man pages that a wheel installs are the guide's pages."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

import ocsync

ROOT = Path(ocsync.__file__).parent.parent
GUIDE = ROOT / "ocsync" / "guide"


@pytest.fixture(scope="module")
def maker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("man_pages", ROOT / ".ci" / "man_pages.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_page_is_one(maker: ModuleType) -> None:
    pages = dict(maker.man_pages(GUIDE))
    assert len(pages) == len([*GUIDE.glob("*.md")])
    assert "ocsync.1" in pages
    assert "ocsync\\-exit\\-codes \\- Exit codes" in pages["ocsync-exit-codes.7"]
    for name, text in pages.items():
        assert "`" not in re.sub(r"^\.nf.*?^\.fi", "", text, flags=re.MULTILINE | re.DOTALL), name


def test_marks_become_those_of_man(maker: ModuleType) -> None:
    page = "# T\n\n.dot `a\n-b` c\\d\n\n- one\n  more\n- two\n\n| x | y |\n| --- | --- |\n| `k` | v |\n\n    .code\n"
    assert maker.roff(page, "n", 7).splitlines()[5:] == [
        ".PP", "\\&.dot \\fBa \\-b\\fR c\\ed", ".PP", ".IP \\(bu 2", "one more", ".IP \\(bu 2", "two",
        ".PP", ".TP", "\\fBk\\fR", "v", ".PP", ".PP", ".nf", ".RS 4", "\\&.code", ".RE", ".fi",
    ]  # fmt: skip


@pytest.mark.slow
def test_groff_has_no_complaint(maker: ModuleType) -> None:
    groff = shutil.which("groff") or pytest.skip("groff is not installed")
    for name, text in maker.man_pages(GUIDE):
        done = subprocess.run(
            [groff, "-man", "-ww", "-Tutf8", "-z"],
            input=text.encode(),
            capture_output=True,
            check=True,
        )
        assert not done.stderr, (name, done.stderr)
