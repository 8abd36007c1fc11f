"""Each folder in examples runs as it is, against the emulator; so do the jobs of the pipelines."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from ocsync.emulator import EmulatorOptions, serve_in_thread
from tests.builders import Shop

EXAMPLES = Path(__file__).parent.parent / "examples"
INVENTORY = "/integrations/entitysync/products/inventoryrecords"

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the examples are shell scripts")


class Place(NamedTuple):
    """A copy of an example, and the marketplace that it is for."""

    folder: Path
    shop: Shop
    environ: dict[str, str]

    def run(self, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            words, cwd=self.folder, env={**self.environ, **environ}, capture_output=True, text=True,
            check=False,
        )  # fmt: skip

    def check(self, code: int, *words: str, **environ: str) -> str:
        """Run the command, which must end with *code*; what it wrote."""
        done = self.run(*words, **environ)
        written = done.stdout + done.stderr
        assert done.returncode == code, (
            f"{' '.join(words)} ended with {done.returncode} instead of {code}:\n{written}"
        )
        return written

    def stock(self) -> list[int]:
        records = self.shop.get("/products/tent/inventoryrecords?sortBy=ID")["Items"]
        return [record["QuantityAvailable"] for record in records]

    def paused(self) -> list[str]:
        configs = self.shop.emulator.market.sync_configs
        return [name for name, config in configs.items() if config["Paused"]]


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path, executable: Path) -> Iterator[Place]:
    """The example that the test's parameter names."""
    folder = tmp_path / "example"
    shutil.copytree(EXAMPLES / request.param, folder)
    seeds = [p for p in (folder / "seed.toml", folder / "rehearsal.toml") if p.exists()]
    assert seeds, f"examples/{request.param} has neither seed.toml nor rehearsal.toml"
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "pip").write_text('#!/bin/sh\necho pip "$@"\n')
    (tmp_path / "bin" / "pip").chmod(0o755)
    python = str(Path(sys.executable).parent)
    path = [str(tmp_path / "bin"), str(executable.parent), python, os.environ["PATH"]]
    with serve_in_thread(EmulatorOptions(seed=seeds[0])) as emulator:
        environ = {
            **os.environ,
            "OCSYNC_URL": emulator.url,
            "OCSYNC_WORKSPACE": str(tmp_path / "work" / ".ocsync"),
            "PATH": os.pathsep.join(path),
        }
        yield Place(folder, Shop(emulator.url, emulator.emulator), environ)


def example(name: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("place", [name], indirect=True, ids=[name])


@example("stocktake")
def test_a_stocktake(place: Place) -> None:
    assert "✓ complete" in place.check(0, "./run.sh")
    record = place.shop.get("/products/tent/inventoryrecords/shelf-2")
    assert (record["QuantityAvailable"], record["xp"]) == (11, {"counted": "2027-01-04"})
    assert not place.paused()


@example("spreadsheet-round-trip")
def test_a_round_trip_through_a_spreadsheet(place: Place) -> None:
    written = place.check(0, "./run.sh")
    assert "+ 1 entry for 1 product from edited.csv" in written
    assert "1 row without a change" in written
    assert "Tent for four people" in written
    assert place.shop.get("/products/tent")["Name"] == "Tent for four", "it was undone"
    assert [w["path"] for w in place.shop.writes()] == ["/v1/products/tent"] * 2


@example("supplier-stock")
def test_a_suppliers_list_by_a_mapping(place: Place) -> None:
    place.check(0, "./run.sh")
    assert place.stock() == [1043, 0]
    assert not place.paused()


@example("warehouse-delta")
def test_what_differs_from_the_day_before(place: Place) -> None:
    written = place.check(0, "./run.sh")
    assert "1 row not in monday.csv: left out" in written
    assert place.stock() == [38, 10]
    assert (place.folder / "gone.txt").read_text() == "inventory/tent/shelf-9\n"
    assert len([w for w in place.shop.writes() if w["method"] == "PATCH"]) == 1


@example("promote-to-production")
def test_promoting_a_sandbox_to_production(place: Place) -> None:
    with serve_in_thread(EmulatorOptions(seed=place.folder / "production.toml")) as emulator:
        shop = Shop(emulator.url, emulator.emulator)
        written = place.check(0, "./run.sh", PRODUCTION_URL=shop.url)
        winter, tent = shop.get("/catalogs/winter"), shop.get("/products/tent")
        price = shop.get("/priceschedules/tent")["PriceBreaks"][0]["Price"]
        kept = shop.get("/products/lantern")["Name"]
    assert "+ 6 entries for 6 refs staged for shop" in written
    assert "~ 1 of 8 refs differs" in written, "lantern alone"
    assert "✓ 6 refs are as 1 run since " in written
    assert (winter["Active"], winter["xp"]) == (True, {"banner": "snow.jpg", "erp": 4})
    assert tent["DefaultPriceScheduleID"] == "tent"
    assert (price, kept) == (249, "Lantern"), "nothing is deleted"
    assert (place.folder / "gone.txt").read_text() == "product/lantern\n"
    assert not place.shop.writes()


@example("season-switch")
def test_the_season_switch(place: Place) -> None:
    place.check(0, "./run.sh")
    active = [place.shop.get(f"/catalogs/{name}")["Active"] for name in ("summer", "winter")]
    assert active == [True, False]
    assert not place.paused()


@example("nightly-inventory")
def test_the_nightly_inventory(place: Place) -> None:
    assert "all changes were sent and verified" in place.check(0, "./run.sh")
    assert place.stock() == [43, 9]
    assert [p.name for p in (place.folder / "taken").iterdir()] == ["warehouse.csv"]
    assert not place.paused()

    bad = "ProductID,InventoryRecordID,QuantityAvailable\ntent,no-shelf,1\ntent,shelf-1,40\n"
    (place.folder / "incoming" / "bad.csv").write_text(bad)
    second = place.check(6, "./run.sh")
    assert "they are staged again, and inventory stays paused" in second
    assert place.stock() == [40, 9]


@example("import-window")
def test_the_import_window(place: Place) -> None:
    assert "tent shelf-1: 43" in place.check(0, "./run.sh")
    assert place.stock() == [43, 9]
    assert [m["payload"]["ID"] for m in place.shop.messages()] == ["shelf-1", "shelf-2"]
    assert not place.paused()

    (place.folder / "stock.csv").write_text("tent,no-shelf,1\n")
    failed = place.check(22, "./run.sh")  # curl's own
    assert "the import failed with exit code 22; the target is running again" in failed
    assert not place.paused()


@example("forgotten-pause")
def test_forgotten_pauses(place: Place) -> None:
    silent = place.check(0, "./run.sh")
    assert not silent, f"run.sh writes although no pause is forgotten:\n{silent}"
    place.check(0, "ocsync", "pause", "inventory", "--for", "0.01s", EXAMPLE_SECRET="emulator")
    place.shop.call("PATCH", "/integrations/productsync", {"Paused": True})
    written = place.check(2, "./run.sh")
    assert "▶ inventory  running again: its --for time has passed" in written
    assert "these pauses need attention:" in written
    assert "products  paused by someone else" in written
    assert place.paused() == ["products"]


def test_every_example_is_in_the_list() -> None:
    listed = (EXAMPLES / "README.md").read_text()
    folders = sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir())
    missing = [name for name in folders if f"`{name}`" not in listed]
    assert not missing, f"examples/README.md does not list: {', '.join(missing)}"


class Job(NamedTuple):
    """A job of a pipeline: its steps' scripts, each with its variables."""

    name: str
    protected: bool
    steps: list[tuple[str, dict[str, str]]]


def github(pipeline: Any) -> list[Job]:
    def steps(job: Any) -> list[tuple[str, dict[str, str]]]:
        shared = {**pipeline["env"], **job.get("env", {})}
        return [(step["run"], {**shared, **step.get("env", {})})
                for step in job["steps"] if "run" in step]  # fmt: skip

    return [Job(name, job.get("environment") == "production" and "concurrency" in job, steps(job))
            for name, job in pipeline["jobs"].items()]  # fmt: skip


def gitlab(pipeline: Any) -> list[Job]:
    return [
        Job(name, job.get("environment") == "production" and "resource_group" in job,
            [("\n".join(job["script"]), pipeline["variables"])])
        for name, job in pipeline.items() if isinstance(job, dict) and "script" in job
    ]  # fmt: skip


def azure(pipeline: Any) -> list[Job]:
    jobs = []
    for stage in pipeline["stages"]:
        [job] = stage["jobs"]
        steps = job["steps"] if "steps" in job else job["strategy"]["runOnce"]["deploy"]["steps"]
        scripts = [(step["bash"], {**pipeline["variables"], **step.get("env", {})})
                   for step in steps if "bash" in step]  # fmt: skip
        jobs.append(Job(stage["stage"], bool(job.get("environment")), scripts))
    return jobs


class Kind(NamedTuple):
    """A CI: its file, how to read it, how its variables look, which it sets itself, and which say
    that a job is run again (where the workspace itself does not).
    """

    file: str
    read: Any
    reference: str
    environ: dict[str, str]
    retry: dict[str, str]


KINDS = {
    "github": Kind("github-actions.yml", github, r"\$\{\{ *([\w.]+) *\}\}",
                   {"GITHUB_ACTIONS": "true", "CI": "true", "GITHUB_OUTPUT": "out",
                    "GITHUB_STEP_SUMMARY": "summary.md", "GITHUB_SERVER_URL": "https://github.com",
                    "GITHUB_REPOSITORY": "acme/shop", "GITHUB_RUN_ID": "17"}, {}),
    "gitlab": Kind(".gitlab-ci.yml", gitlab, r"\$(\w+)",
                   {"GITLAB_CI": "true", "CI": "true", "CI_JOB_URL": "https://gitlab.com/-/jobs/17"},
                   {"ADOPT": "yes"}),
    "azure": Kind("azure-pipelines.yml", azure, r"\$\(([\w.]+)\)",
                  {"TF_BUILD": "True", "SYSTEM_STAGEATTEMPT": "1", "BUILD_BUILDID": "17",
                   "SYSTEM_TEAMFOUNDATIONCOLLECTIONURI": "https://dev.azure.com/acme/",
                   "SYSTEM_TEAMPROJECT": "shop"},
                  {"SYSTEM_STAGEATTEMPT": "2"}),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["github", "gitlab", "azure"])
@pytest.mark.timeout(180)
@example("pipelines")
def test_a_pipeline(place: Place, kind: str) -> None:
    """What its jobs run, with what the CI would set: rehearsed, planned, sent and proved."""
    ci = KINDS[kind]
    jobs = ci.read(yaml.safe_load((place.folder / ci.file).read_text()))
    assert [(job.name, job.protected) for job in jobs] == [
        ("rehearse", False), ("plan", False), ("production", True),
    ]  # fmt: skip
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    elsewhere = {"EMULATOR_PORT": str(port), "OCSYNC_WORKSPACE": str(place.folder / "rehearsal")}
    told = {job.name: run_job(place, ci, job, **elsewhere) for job in jobs[:1]}
    assert place.stock() == [38, 12], "a rehearsal is not the real thing"
    told["plan"] = run_job(place, ci, jobs[1])
    if ci.retry:
        place.shop.call("PATCH", INVENTORY, {"Paused": True})  # as a first try that died left it
    told["production"] = run_job(place, ci, jobs[2], **ci.retry)

    assert "✓ complete: 3 edits in 3 requests" in told["rehearse"]
    assert "shelf-1  QuantityAvailable 38 -> 43" in told["plan"]
    assert "✓ complete: 3 edits in 3 requests" in told["production"]
    assert "inventory      2" in told["production"]
    assert place.stock() == [43, 9]
    assert place.shop.get("/products/tent")["Name"] == "Tent for five"
    assert not place.paused()
    if kind == "github":
        assert "changes=yes" in (place.folder / "out").read_text()
        summary = (place.folder / "summary.md").read_text()
        assert summary.count("### ocsync resume: complete") == 2
    if kind == "azure":
        assert told["production"].count("##vso[task.uploadsummary]") == 1


def run_job(place: Place, ci: Kind, job: Job, **more: str) -> str:
    """Run the steps as the CI's own shell would; what they wrote."""
    known = {
        "ORDERCLOUD_URL": place.shop.url,
        "ORDERCLOUD_CLIENT_ID": "emulator",
        "ORDERCLOUD_MARKETPLACE": "example",
        "ORDERCLOUD_SECRET": "emulator",
        "github.workspace": str(place.folder),
        "CI_PROJECT_DIR": str(place.folder),
        "Pipeline.Workspace": str(place.folder),
    }

    def value(found: re.Match[str]) -> str:
        text = known.get(found[1]) or known.get(found[1].rpartition(".")[2])
        return text or pytest.fail(
            f"{ci.file} uses {found[0]}, which this test does not set: add it to *known*"
        )

    written = ""
    plain = {} if ci.file.startswith("github") else known
    for script, variables in job.steps:
        inline = re.findall(r"\$\{\{.*?\}\}|\$\([A-Z]\w+\.[^)]*\)", script)
        assert not inline, f"{ci.file} has values in a script, and not in its variables: {inline}"
        environ = {name: re.sub(ci.reference, value, text) for name, text in variables.items()}
        done = place.run("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script,
                         **{**ci.environ, **plain, **environ, **more})  # fmt: skip
        written += done.stdout + done.stderr
        assert done.returncode == 0, f"a step of job {job.name} in {ci.file} failed:\n{written}"
    return written


@pytest.mark.parametrize(("commands", "code"), [
    ("ocsync stage set inventory/tent/shelf-1 QuantityAvailable=5\nocsync resume --verify", 0),
    ("ocsync stage set inventory/tent/none QuantityAvailable=5\nocsync resume --yes\nexit 99", 3),
], ids=["done", "refused"])  # fmt: skip
@pytest.mark.parametrize("place", ["stocktake"], indirect=True)
def test_the_composite_action(place: Place, commands: str, code: int) -> None:
    action = yaml.safe_load((EXAMPLES / "github-action" / "action.yml").read_text())
    given = {
        "api-url": place.shop.url, "client-id": "emulator", "secret": "emulator", "run": commands,
        "workspace": str(place.folder / ".ocsync"), "package": "ocsync",
    }  # fmt: skip
    assert {*action["inputs"]} == {*given}
    steps = [step for step in action["runs"]["steps"] if "run" in step]
    codes = []
    for step in steps:
        values = {name: given[text[len("${{ inputs.") : -len(" }}")]] if text.startswith("$") else text
                  for name, text in step["env"].items()}  # fmt: skip
        done = place.run("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"],
                         GITHUB_ENV="env", GITHUB_OUTPUT="out", **values)  # fmt: skip
        codes.append(done.returncode)
    assert codes == [0, code], done.stdout + done.stderr
    assert (place.folder / "out").read_text() == f"exit-code={code}\n"
    assert "emulator" not in (place.folder / "env").read_text()


def test_the_image_starts_what_exists() -> None:
    """No engine builds images here; the lines are held against the package."""
    lines = (EXAMPLES / "docker" / "Dockerfile").read_text()
    extras = re.findall(r"/source\[(\w+)\]", lines)
    project = tomllib.loads((EXAMPLES.parent / "pyproject.toml").read_text())["project"]
    assert extras
    assert {*extras} <= {*project["optional-dependencies"]}
    assert re.findall(r'ENTRYPOINT \["(\w+)"\]', lines) == [*project["scripts"]]
