"""An older copy of a workspace, as from a backup or a CI artifact, sends nothing twice unasked."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.builders import Shop
from tests.conftest import Run

R = "inventory/P0/R0"
QUANTITY = "/products/P0/inventoryrecords/R0"


def quantity(shop: Shop) -> int:
    found: int = shop.get(QUANTITY)["QuantityAvailable"]
    return found


def stage(ocsync: Run, *words: str) -> None:
    result = ocsync("stage", *words)
    assert result.code == 0, result


@pytest.fixture
def restored(ocsync: Run, shop: Shop) -> Run:
    """A workspace put back to how it was before its run, which added 5 to 40."""
    shop.stock(records=1, products=1, quantity=40)
    stage(ocsync, "set", "catalog/GONE", "Active=true")
    stage(ocsync, "drop", "1")
    stage(ocsync, "adjust", R, "QuantityAvailable+=5")
    shutil.copytree(".ocsync", "backup")
    assert ocsync("resume").code == 0
    stage(ocsync, "adjust", R, "QuantityAvailable+=1")
    shutil.rmtree(".ocsync")
    Path("backup").rename(".ocsync")
    assert quantity(shop) == 45
    return ocsync


def test_an_old_copy_sends_nothing_again(restored: Run, shop: Shop) -> None:
    result = restored("resume")
    assert result.code == 6, result
    assert "older copy" in result.err
    assert "1 of 1 staged entry (2) was already sent" in result.err
    assert "--resend" in result.err
    assert quantity(shop) == 45
    assert restored("resume", "--yes").code == 6
    doctor = restored("doctor", "--offline", "--json").data
    assert any(one["id"] == "copies" and one["level"] == "wrong" for one in doctor["checks"])


def test_what_was_staged_in_the_copy_since_is_sent(restored: Run, shop: Shop) -> None:
    stage(restored, "drop", "2")
    journal = next(Path(".ocsync").rglob("journal/0*.jsonl"))
    assert '"seq":2' in journal.read_text()
    stage(restored, "set", R, "OrderCanExceed=true")
    assert restored("resume").code == 0
    assert shop.get(QUANTITY)["OrderCanExceed"] is True


def test_it_is_sent_again_when_that_is_meant(restored: Run, shop: Shop) -> None:
    assert restored("resume", "--resend").code == 0
    assert quantity(shop) == 50


def test_what_came_back_is_no_old_copy(ocsync: Run, shop: Shop) -> None:
    shop.stock(records=1, products=1, quantity=40)
    shop.faults({"method": "PATCH", "path": "R0", "status": 400, "code": "X", "times": 1})
    stage(ocsync, "adjust", R, "QuantityAvailable+=5")
    stage(ocsync, "set", "catalog/C", "Active=true")
    assert ocsync("resume", "inventory").code == 3
    assert ocsync("resume", "inventory").code == 0
    assert quantity(shop) == 45


def test_a_run_that_was_finished_elsewhere_is_not_continued(ocsync: Run, shop: Shop) -> None:
    shop.stock(records=1, products=1, quantity=40)
    stage(ocsync, "adjust", R, "QuantityAvailable+=5")
    shop.faults({"method": "PATCH", "path": "/inventoryrecords", "status": 503, "retry_after": 60})
    assert ocsync("resume", "--max-wait", "1s").code == 75
    assert ocsync("stage", "list", "--json").data["staged"] == []
    shutil.copytree(".ocsync", "backup")
    shop.faults()
    assert ocsync("resume").code == 0
    shutil.rmtree(".ocsync")
    Path("backup").rename(".ocsync")

    result = ocsync("resume")
    assert result.code == 6, result
    assert "was finished in another copy" in result.err
    assert quantity(shop) == 45


def test_no_record_is_no_error(ocsync: Run, shop: Shop, tmp_path: Path) -> None:
    shop.stock(records=1, products=1, quantity=40)
    record = tmp_path / "data" / "sent"
    record.parent.mkdir(exist_ok=True)
    record.write_text("a file where the folder should be")
    stage(ocsync, "adjust", R, "QuantityAvailable+=5")
    assert ocsync("resume", "--verify").code == 0
    assert quantity(shop) == 45


@pytest.mark.quick(2)
@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"format": 9, "runs": []}'])
def test_a_damaged_record_is_no_error(
    ocsync: Run, shop: Shop, tmp_path: Path, content: bytes
) -> None:
    shop.stock(records=1, products=1, quantity=40)
    for _ in range(2):
        stage(ocsync, "adjust", R, "QuantityAvailable+=5")
        assert ocsync("resume").code == 0
        for path in (tmp_path / "data" / "sent").iterdir():
            path.write_bytes(content)
    assert quantity(shop) == 50


def test_an_older_workspace_gets_an_id_with_its_next_run(
    ocsync: Run, shop: Shop, tmp_path: Path
) -> None:
    settings = Path(".ocsync/workspace.toml")
    lines = [line for line in settings.read_text().splitlines() if not line.startswith("id")]
    settings.write_text("\n".join(lines) + "\n")
    shop.stock(records=1, products=1, quantity=40)
    stage(ocsync, "adjust", R, "QuantityAvailable+=5")
    assert ocsync("resume").code == 0
    assert "id = " in settings.read_text()
    [record] = (tmp_path / "data" / "sent").iterdir()
    [run] = json.loads(record.read_bytes())["runs"]
    assert run["seqs"] == [[1, 1]]


def test_an_id_that_is_none_leads_nowhere(ocsync: Run, shop: Shop, tmp_path: Path) -> None:
    settings = Path(".ocsync/workspace.toml")
    settings.write_text('format = 1\nprofile = "test"\nid = "../../outside"\n')
    shop.stock(records=1, products=1, quantity=40)
    stage(ocsync, "adjust", R, "QuantityAvailable+=5")
    assert ocsync("resume").code == 0
    assert not list(tmp_path.rglob("*outside*"))
