"""Checks of the workspace: its place, owner, modes, leftover files and disk space."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ocsync.engine.doctor.check import CheckResult, Repair, Setup, passed, problem, warning
from ocsync.errors import ExitCode, OcsyncError
from ocsync.store import files, integrity
from ocsync.store.identity import owner_of
from ocsync.store.workspace import user_data_folder

LOW_BYTES, CRITICAL_BYTES = 500 * 2**20, 20 * 2**20
"""Free bytes below which a warning is due, and below which no run should start."""


def location(setup: Setup) -> Iterator[CheckResult]:
    """Check that a workspace exists; the result names it and the rule that chose it."""
    root = setup.workspace.root
    if setup.workspace.exists:
        yield passed(f"{root}, {_rule(setup)}")
    elif root.is_dir():
        yield problem(
            f"{setup.short(root)} has no workspace.toml",
            "nothing says what format it has and which profile is current",
            "ocsync profile use NAME writes it",
            code=ExitCode.BAD_CONFIG,
        )
    else:
        yield problem(
            f"there is no workspace; it would be {root}, {_rule(setup)}",
            "a profile, the journal and the runs live in one",
            "ocsync init, then ocsync profile add NAME --environment REGION-ENV ...",
            code=ExitCode.BAD_CONFIG,
        )
    for path in setup.workspace.passed_over:
        yield warning(
            f"{path} belongs to {owner_of(path)} and is not used",
            "a folder of somebody else's must not decide what is sent where",
            f"ocsync ... --workspace {path}, if it is meant",
        )


def _rule(setup: Setup) -> str:
    root = setup.workspace.root
    setting = setup.environ.get("OCSYNC_WORKSPACE", "")
    if setup.workspace.is_found:
        return "the nearest one upwards"
    if setting and files.real_path(Path(setting).expanduser()) == root:
        return "by OCSYNC_WORKSPACE"
    if root == files.real_path(user_data_folder(setup.environ) / "workspace"):
        return "the user's own, as there is none upwards"
    return "by --workspace"


def format_known(setup: Setup) -> Iterator[CheckResult]:
    """Check that this ocsync knows the workspace's format."""
    try:
        setup.workspace.check_format()
    except OcsyncError as error:
        yield problem(error.message, "no command touches it", error.hint, code=error.exit_code)
    else:
        yield passed("known")


def owner(setup: Setup) -> Iterator[CheckResult]:
    """Check that all files belong to the user."""
    others = integrity.find_foreign(setup.workspace.root)
    if others:
        yield problem(
            f"{setup.short(others[0])}{_others_text(others)} not yours",
            "a command run as somebody else (sudo?) wrote there, and others will fail",
            f"sudo chown -R $(id -un) {setup.short(setup.workspace.root)}",
        )
    else:
        yield passed("yours")


def _others_text(paths: list[Path]) -> str:
    return f" and {len(paths) - 1:,} more are" if len(paths) > 1 else " is"


def file_kinds(setup: Setup) -> Iterator[CheckResult]:
    """Return whether the workspace has only regular files and folders."""
    root, well = setup.workspace.root, True
    for path, reason in files.find_unsafe(root, others=False):
        well = False
        yield problem(
            f"{setup.short(path)} {reason}",
            "a workspace has only files and folders; commands that need this one refuse it",
            f"ls -ld {setup.short(path)}; replace it by a copy of the real file, or remove it",
            code=ExitCode.BAD_CONFIG,
        )
    if well:
        yield passed("regular")


def modes(setup: Setup) -> Iterator[CheckResult]:
    """Check that nobody else may read or write the files."""
    root = setup.workspace.root
    writable, readable = integrity.find_exposed(root)
    private = Repair(lambda: f"made private: {integrity.make_private(root):,}")
    fix = f"chmod -R go= {setup.short(root)}"
    if writable:
        yield problem(
            f"others may write {_names_of(setup, writable)}",
            "whoever writes the journal decides what is sent",
            fix,
            repair=private,
        )
    elif readable:
        yield warning(
            f"others may read {_names_of(setup, readable)}",
            "prices, users and stock that are not out yet stand there",
            fix,
            repair=private,
        )
    else:
        yield passed("for you alone")


def _names_of(setup: Setup, paths: list[Path]) -> str:
    return setup.short(paths[0]) + (f" and {len(paths) - 1:,} more" if len(paths) > 1 else "")


def ignored(setup: Setup) -> Iterator[CheckResult]:
    """Check that the workspace stays out of a repository."""
    root = setup.workspace.root
    name = setup.short(root / ".gitignore")
    if integrity.is_git_ignored(root):
        yield passed("*")
        return

    def do() -> str:
        integrity.write_gitignore(root)
        return f"{name} written"

    yield warning(
        f"{name} does not say *",
        "the workspace could be committed by mistake",
        f"echo '*' > {name}",
        repair=Repair(do),
    )


def leftovers(setup: Setup) -> Iterator[CheckResult]:
    """Check for partial files of commands that died while writing."""
    paths = integrity.find_stale_temps(setup.workspace.root, setup.now.timestamp())
    if not paths:
        yield passed("none")
        return

    def do() -> str:
        for path in paths:
            path.unlink(missing_ok=True)
        return f"{len(paths):,} removed"

    yield warning(
        f"{_names_of(setup, paths)}: half written",
        "a command died while it wrote; what it replaced is whole",
        "ocsync doctor --fix removes them",
        repair=Repair(do),
    )


def copies(setup: Setup) -> Iterator[CheckResult]:
    """Check whether this is an old copy of the workspace, and that one could be told."""
    folder = user_data_folder(setup.environ)
    sent = setup.folder.sent_record.sent(setup.entries)
    if sent:
        yield problem(
            f"{len(sent):,} of {len(setup.entries):,} staged entries were sent before, "
            f"by run {next(iter(sent.values()))}: this workspace is an older copy",
            "resume would send them twice, and asks before it does",
            f"ocsync stage drop {next(iter(sent))} ...",
            code=ExitCode.CONFLICT,
        )
    elif not integrity.is_writable(folder):
        yield warning(
            f"{folder} cannot be written, so sent entries are not recorded there",
            "an older copy of this workspace, as from a backup, could send them again",
            "set OCSYNC_DATA_DIR to a folder that you can write",
        )
    else:
        yield passed("none known")


def disk_space(setup: Setup) -> Iterator[CheckResult]:
    """Check that the disk has room and can be written."""
    if not integrity.is_writable(setup.workspace.root):
        yield problem(
            f"{setup.workspace.root} cannot be written",
            "nothing can be staged, paused or recorded",
            f"ls -ld {setup.workspace.root}",
            code=ExitCode.BAD_CONFIG,
        )
        return
    free = integrity.free_bytes(setup.workspace.root)
    text = f"{free / 2**20:,.0f} MB free at {setup.workspace.root}"
    consequence = (
        "a run keeps the values before and its log; it stops, unharmed, when the disk is full"
    )
    if free < CRITICAL_BYTES:
        yield problem(text, consequence, f"df -h {setup.workspace.root}")
    elif free < LOW_BYTES:
        yield warning(text, consequence, f"df -h {setup.workspace.root}")
    else:
        yield passed(f"{free / 2**30:,.0f} GB free")
