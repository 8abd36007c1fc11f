"""Checks of the workspace: its place, owner, modes, leftover files and disk space."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ocsync.engine.doctor.check import CheckResult, Repair, Setup, passed, problem, warning
from ocsync.errors import ExitCode, OcsyncError
from ocsync.plurals import count
from ocsync.store import files, integrity
from ocsync.store.identity import owner_of
from ocsync.store.workspace import FORMAT, user_data_folder

_DEFAULT_RULE = "the default of this user"

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
            "its format and its current profile are unknown",
            "ocsync profile use NAME creates it",
            code=ExitCode.BAD_CONFIG,
        )
    else:
        yield problem(
            _missing_text(setup),
            "profiles, staged edits and runs are kept in a workspace",
            "ocsync init, then ocsync profile add NAME --environment REGION-ENV ...",
            code=ExitCode.BAD_CONFIG,
        )
    for path in setup.workspace.passed_over:
        yield warning(
            f"{path} belongs to {owner_of(path)} and is not used",
            "another user's folder must not decide which changes are sent",
            f"to use it anyway: ocsync ... --workspace {path}",
        )


def _missing_text(setup: Setup) -> str:
    root, rule = setup.workspace.root, _rule(setup)
    if rule == _DEFAULT_RULE:
        return f"no workspace found in this folder or above; would use {root}"
    return f"no workspace at {root} ({rule})"


def _rule(setup: Setup) -> str:
    root = setup.workspace.root
    setting = setup.environ.get("OCSYNC_WORKSPACE", "")
    if setup.workspace.is_found:
        return "found in this folder or above"
    if setting and files.real_path(Path(setting).expanduser()) == root:
        return "from OCSYNC_WORKSPACE"
    if root == files.real_path(user_data_folder(setup.environ) / "workspace"):
        return _DEFAULT_RULE
    return "from --workspace"


def format_known(setup: Setup) -> Iterator[CheckResult]:
    """Check that this ocsync knows the workspace's format."""
    try:
        setup.workspace.check_format()
    except OcsyncError as error:
        yield problem(error.message, "no command uses it", error.hint, code=error.exit_code)
    else:
        yield passed(f"format {FORMAT}")


def owner(setup: Setup) -> Iterator[CheckResult]:
    """Check that all files belong to the user."""
    others = integrity.find_foreign(setup.workspace.root)
    if others:
        yield problem(
            f"{setup.short(others[0])}{_others_text(others)} to another user",
            "a command ran as another user (sudo?); your commands will fail",
            f"sudo chown -R $(id -un) {setup.short(setup.workspace.root)}",
        )
    else:
        yield passed("yours")


def _others_text(paths: list[Path]) -> str:
    return f" and {len(paths) - 1:,} more belong" if len(paths) > 1 else " belongs"


def file_kinds(setup: Setup) -> Iterator[CheckResult]:
    """Return whether the workspace has only regular files and folders."""
    root, well = setup.workspace.root, True
    for path, reason in files.find_unsafe(root, others=False):
        well = False
        yield problem(
            f"{setup.short(path)} {reason}",
            "a workspace may hold only files and folders; commands refuse anything else",
            f"ls -ld {setup.short(path)}; replace it with a copy of the real file, or remove it",
            code=ExitCode.BAD_CONFIG,
        )
    if well:
        yield passed("regular files and folders only")


def modes(setup: Setup) -> Iterator[CheckResult]:
    """Check that nobody else may read or write the files."""
    root = setup.workspace.root
    writable, readable = integrity.find_exposed(root)
    private = Repair(lambda: f"made {count(integrity.make_private(root), 'file')} private")
    fix = f"chmod -R go= {setup.short(root)}"
    if writable:
        yield problem(
            f"other users can write {_names_of(setup, writable)}",
            "anyone who can write the journal can change what resume sends",
            fix,
            repair=private,
        )
    elif readable:
        yield warning(
            f"other users can read {_names_of(setup, readable)}",
            "it holds prices, users and stock that are not public yet",
            fix,
            repair=private,
        )
    else:
        yield passed("private (0600)")


def _names_of(setup: Setup, paths: list[Path]) -> str:
    return setup.short(paths[0]) + (f" and {len(paths) - 1:,} more" if len(paths) > 1 else "")


def ignored(setup: Setup) -> Iterator[CheckResult]:
    """Check that the workspace stays out of a repository."""
    root = setup.workspace.root
    name = setup.short(root / ".gitignore")
    if integrity.is_git_ignored(root):
        yield passed("git-ignored")
        return

    def do() -> str:
        integrity.write_gitignore(root)
        return f"wrote {name}"

    yield warning(
        f"{name} does not exclude the workspace",
        "the workspace could be committed to Git by mistake",
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
        return f"removed {count(len(paths), 'file')}"

    yield warning(
        f"{_names_of(setup, paths)}: only partly written",
        "a command died while writing; the original file is undamaged",
        "ocsync doctor --fix removes them",
        repair=Repair(do),
    )


def copies(setup: Setup) -> Iterator[CheckResult]:
    """Check whether this is an old copy of the workspace, and that one could be told."""
    folder = user_data_folder(setup.environ)
    sent = setup.folder.sent_record.sent(setup.entries)
    if sent:
        yield problem(
            f"run {next(iter(sent.values()))} has already sent {len(sent):,} of "
            f"{count(len(setup.entries), 'staged entry')}: this workspace is an older copy",
            "resume would send them twice; it asks first",
            f"ocsync stage drop {next(iter(sent))} ...",
            code=ExitCode.CONFLICT,
        )
    elif not integrity.is_writable(folder):
        yield warning(
            f"{folder} is not writable, so sent entries are not recorded there",
            "an older copy of this workspace, such as a backup, could send them again",
            "set OCSYNC_DATA_DIR to a writable folder",
        )
    else:
        yield passed("no older copy")


def disk_space(setup: Setup) -> Iterator[CheckResult]:
    """Check that the disk has room and can be written."""
    if not integrity.is_writable(setup.workspace.root):
        yield problem(
            f"{setup.workspace.root} is not writable",
            "ocsync can stage, pause and record nothing",
            f"ls -ld {setup.workspace.root}",
            code=ExitCode.BAD_CONFIG,
        )
        return
    free = integrity.free_bytes(setup.workspace.root)
    text = f"{free / 2**20:,.0f} MB free at {setup.workspace.root}"
    consequence = (
        "a run writes earlier values and logs; if the disk is full, it stops without damage"
    )
    if free < CRITICAL_BYTES:
        yield problem(text, consequence, f"df -h {setup.workspace.root}")
    elif free < LOW_BYTES:
        yield warning(text, consequence, f"df -h {setup.workspace.root}")
    else:
        yield passed(f"{free / 2**30:,.0f} GB free")
