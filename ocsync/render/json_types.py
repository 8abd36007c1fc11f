"""Types of the JSON that `--json` prints, from which `ocsync schema` makes JSON Schemas.

Each describes what its command builds; the tests validate every JSON output against them. A
document also has `format` and `command`, an event `type`; `json_schemas` adds these. A member that
is not required is left out where it does not apply.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, NotRequired, TypedDict

import msgspec

from ocsync.listener_attachment import AttachmentPhase
from ocsync.models import Change, Delivery, Entry, Outcome, Ref, Step
from ocsync.pause import PausePhase, PauseState
from ocsync.store.runs import RunKind


def _renamed(kind: Any, name: str, about: str, **types: Any) -> Any:
    """Return a type like *kind* as `json_data` writes it, but for the members *types*."""
    config = kind.__struct_config__
    fields: list[Any] = []
    for field in msgspec.structs.fields(kind):
        member = types.get(field.name, field.type)
        is_optional = config.omit_defaults and not field.required
        fields.append((field.name, member, None) if is_optional else (field.name, member))
    tag = {"tag": config.tag, "tag_field": config.tag_field} if config.tag_field else {}
    return msgspec.defstruct(name, fields, namespace={"__doc__": about}, kw_only=True, **tag)


Result = Literal["same", "moved", "differs", "missing", "unread"]
"""Result of comparing a ref with what was written; `moved` is stock that was sold since."""

if TYPE_CHECKING:
    OutcomeReport = Outcome
    StepReport = Step
else:
    OutcomeReport = _renamed(Outcome, "OutcomeReport", Outcome.__doc__)
    StepReport = _renamed(
        Step, "StepReport", Step.__doc__, change=_renamed(Change, "PlannedChange", Change.__doc__)
    )


# Values that several documents have


class PauseRecord(TypedDict):
    """Pause of this workspace, by its target; stamps are UTC, ISO 8601."""

    phase: PausePhase
    since: str
    by: NotRequired[str]
    job: NotRequired[str]
    reason: NotRequired[str]
    until: NotRequired[str]
    run: NotRequired[str]
    window: NotRequired[str]
    adopted: NotRequired[bool]
    lost: NotRequired[str]
    found: NotRequired[dict[str, Any]]


class AttachmentRecord(TypedDict):
    """Listener of this workspace, by CONFIG/TYPE of its delivery target."""

    phase: AttachmentPhase
    since: str
    shown: dict[str, str]
    by: NotRequired[str]
    targets: NotRequired[list[str]]
    was: NotRequired[dict[str, str]]
    found: NotRequired[dict[str, Any]]


class TargetReport(TypedDict):
    """Sync config of a target, and this workspace's pause of it; null where there is none."""

    name: str
    state: PauseState
    exists: bool
    paused: bool
    pause: PauseRecord | None
    delivery: str
    changed: bool | None
    deleted: bool | None


class UnfinishedRunReport(TypedDict):
    """Run that is not finished: how many steps have ended, and the targets that it needs paused."""

    id: str
    type: RunKind
    ended: int
    steps: int
    entries: int
    held: list[str]


class FindingReport(TypedDict):
    """Ref that was compared with what was written, and each field that differs.

    *where* is `delivery` for what arrived at the delivery target.
    """

    ref: Ref
    result: Result
    fields: NotRequired[dict[str, dict[str, Any]]]
    message: NotRequired[str]
    where: NotRequired[str]


class RunDelivery(TypedDict, total=False):
    """Messages of a run at the listener; times are seconds after the unpause."""

    arrived: int
    stale: int
    missing: int
    not_due: int
    duplicates: int
    unexpected: int
    early: int
    redelivered: int
    first: float
    p50: float
    p95: float
    last: float


class RunReport(TypedDict):
    """Record of a run. Stamps are UTC, ISO 8601; *seconds* is the time worked on it.

    *exit_code* is null while it is open. *counts* are steps by outcome, *kinds* the same per kind;
    *verified* findings by result, per kind in *verified_kinds*, and *by_answer* how many of them
    rest on the write's own answer. *requests* counts every request sent, reads among them, until
    *counted_until*; with *requests_at_least* a killed command sent more than is known.
    *paused_seconds* maps the targets that were unpaused at its end to the seconds each had been
    paused; *undoes* are the runs that its edits undo. *arrivals* are pairs of seconds after the
    unpause and the number of messages that had arrived by then. *verification_pending* says that a
    verification was requested and has not finished. *held* are the targets that were paused when it
    started to send. *plan* is the fingerprint of its plan.
    """

    id: str
    type: RunKind
    undoes: list[str]
    state: Literal["open", "closed"]
    started: str
    ended: str
    command: str
    user: str
    marketplace: str
    targets: list[str]
    on_conflict: str
    entries: int
    steps: int
    requests: int
    seconds: float
    exit_code: int | None
    counts: dict[str, int]
    kinds: dict[str, dict[str, int]]
    verified: dict[str, int]
    delivery: RunDelivery
    arrivals: list[tuple[float, int]]
    verified_kinds: dict[str, dict[str, int]]
    by_answer: int
    paused_seconds: dict[str, float]
    verification_pending: bool
    held: list[str]
    plan: str
    counted_until: str
    requests_at_least: bool


class StepRowReport(TypedDict):
    """Step of a run with its outcome. *seconds* is the time from its intent to its outcome.

    *result* is null unless verification found a difference; *found* has the fields that differ.
    """

    number: int
    wave: int
    ref: Ref
    method: str
    state: str
    status: int
    code: str
    message: str
    blocked_by: Ref
    log_id: str
    seconds: float
    result: Result | None
    found: dict[str, dict[str, Any]]
    note: str
    where: str


class UnpausedReport(TypedDict):
    """Target that was unpaused, and how many seconds it had been paused."""

    target: str
    seconds: float


class TargetFailure(TypedDict):
    """Target that stays paused because of an error."""

    ref: str
    message: str


class ChangeReport(TypedDict):
    """Change of one ref, compared with the server; null where it was not read."""

    ref: Ref
    same: bool
    absent: bool
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    conflict: str


class VerificationReport(TypedDict):
    """Result of reading back: findings by sign per kind, and those that differ."""

    kinds: dict[str, dict[str, int]]
    findings: list[FindingReport]
    read: int
    by_answer: list[str]
    sample: int
    exit_code: int


class DeliveryReport(TypedDict):
    """Messages at the listener; times are seconds after the unpause."""

    arrived: int
    stale: int
    missing: int
    not_due: int
    duplicates: int
    unexpected: int
    early: int
    redelivered: int
    first: NotRequired[float]
    p50: NotRequired[float]
    p95: NotRequired[float]
    last: NotRequired[float]
    findings: list[FindingReport]
    held: list[str]
    off: list[str]
    silent: dict[str, int]
    runs: list[str]
    refused: dict[str, str]
    listens: bool


class Totals(TypedDict):
    """Numbers of entries, refs and requests."""

    entries: int
    refs: int
    steps: int


# Documents


class CompletionDocument(TypedDict):
    """Script that completes commands in a shell."""

    shell: str
    script: str


class DemoCost(TypedDict):
    """Cost of one way to make the same edits."""

    way: str
    requests: int
    messages: int


class DemoStory(TypedDict):
    """Part of the demo, with the costs of each way."""

    name: str
    entries: int
    costs: list[DemoCost]


class DemoDocument(TypedDict):
    """Figures of the demo, and the refs in which the marketplaces differ."""

    stories: list[DemoStory]
    differences: list[str]
    seconds: float


class ConfigEdit(TypedDict):
    """Change of a field; *secret_from* names the source of a secret that is not shown."""

    edit: Literal["add", "change", "remove"]
    path: str
    before: Any
    after: Any
    secret_from: NotRequired[str]


class ConfigChangeReport(TypedDict):
    """Change of a delivery configuration."""

    ID: str
    action: Literal["create", "change", "none"]
    edits: list[ConfigEdit]
    secrets_not_compared: list[str]
    stays: list[str]


class DeliveryApplyDocument(TypedDict):
    """Changes of delivery configurations that a file asks for."""

    sent: bool
    dry_run: bool
    deliveries: list[ConfigChangeReport]


class ListenerReport(TypedDict):
    """Listener at a delivery configuration: an endpoint, or a topic and its servers."""

    config: str
    type: str
    targets: list[str]
    Endpoint: NotRequired[str]
    Topic: NotRequired[str]
    BootstrapServers: NotRequired[str]
    SaslUsername: NotRequired[str]
    EventHubName: NotRequired[str]


class DetachedReport(ListenerReport):
    """Listener that was removed, and the fields that had changed in the meantime."""

    was: str
    changed: list[str]


class DeliveryAttachDocument(TypedDict):
    """Listeners that were attached."""

    attached: list[ListenerReport]


class DeliveryDetachDocument(TypedDict):
    """Listeners that were removed: those of this workspace, and other configurations' ones."""

    detached: list[DetachedReport]
    removed: list[str]


class BoundTarget(TypedDict):
    """Target that delivers by the configuration now, and the one that it had before."""

    target: str
    was: str | None


class DeliveryBindDocument(TypedDict):
    """Targets that deliver by a configuration."""

    delivery: str
    targets: list[BoundTarget]


class UnboundTarget(TypedDict):
    """Target whose sync config was removed, with the config as it was."""

    target: str
    found: dict[str, Any]


class DeliveryUnbindDocument(TypedDict):
    """Sync configs that were removed."""

    removed: list[UnboundTarget]


class DeliveryListDocument(TypedDict):
    """Delivery configurations as OrderCloud shows them, each with its targets."""

    deliveries: list[dict[str, Any]]
    attached: dict[str, AttachmentRecord]


DeliveryShowDocument = Annotated[
    dict[str, Any], msgspec.Meta(description="Delivery configuration as OrderCloud shows it.")
]


class CheckReport(TypedDict):
    """Result of a check of the setup."""

    id: str
    level: Literal["fine", "note", "wrong"]
    what: str
    why: str
    fix: str
    details: list[str]
    repairable: bool


class SkippedCheck(TypedDict):
    """Check that was not made, and what it needs."""

    id: str
    needs: str


class RepairReport(TypedDict):
    """Problem that was repaired."""

    id: str
    what: str
    details: list[str]


class DoctorDocument(TypedDict):
    """Results of the checks of the setup."""

    workspace: str
    profile: str
    offline: bool
    checks: list[CheckReport]
    skipped: list[SkippedCheck]
    repaired: list[RepairReport]
    wrong: int
    notes: int
    exit_code: int


class EmulatorDocument(TypedDict):
    """Address of the emulator; it is printed when requests are answered."""

    url: str


class ExpireDocument(TypedDict):
    """Targets whose pause time had passed."""

    unpaused: list[UnpausedReport]
    failed: list[TargetFailure]
    open_run: str
    dry_run: bool


class HelpPage(TypedDict):
    """Help of a command, or page of the guide."""

    topic: str
    text: str


class HelpTopic(TypedDict):
    """Page of the guide."""

    topic: str
    title: str


class HelpTopics(TypedDict):
    """Pages of the guide."""

    topics: list[HelpTopic]


class HistoryList(TypedDict):
    """Runs, newest first."""

    runs: list[RunReport]


class HistoryRun(TypedDict):
    """One run: its record, the steps that did not succeed, and the findings of verification."""

    run: RunReport
    problems: list[StepRowReport]
    findings: list[FindingReport]
    folder: str
    steps: NotRequired[list[StepRowReport]]


class HistoryPruneDocument(TypedDict):
    """Runs that were removed, or would be."""

    removed: list[str]
    found: list[str]
    bytes: int
    dry_run: bool


class InitDocument(TypedDict):
    """Folder of the workspace."""

    workspace: str
    made: bool


class ListenHttpDocument(TypedDict):
    """Address of the listener, and the log that it writes."""

    url: str
    log: str


class ListenKafkaDocument(TypedDict):
    """Topics that are read, and the log that is written."""

    servers: str
    topics: list[str]
    partitions: int
    log: str


class RepeatedMessage(TypedDict):
    """Message, how often it came, and when first and last."""

    first: str
    last: str
    times: int
    namespace: str
    payload: dict[str, Any]


class DistinctMessages(TypedDict):
    """Messages that the listeners received, each once."""

    messages: int
    distinct: int
    log: list[RepeatedMessage]


class AllMessages(TypedDict):
    """Messages that the listeners received, repetitions among them (`--all`)."""

    messages: int
    distinct: int
    log: list[Delivery]


class IdentityDocument(TypedDict):
    """User who signed in, the marketplace, and the roles that are missing."""

    profile: str
    user: str
    marketplace: str
    name: str
    roles: list[str]
    missing: list[str]


class PauseDocument(TypedDict):
    """Targets that are paused now; null for one that has no sync config."""

    targets: dict[str, PauseRecord | None]


class PlannedKind(TypedDict):
    """Numbers of edits and requests of a kind."""

    kind: str
    entries: int
    steps: int


class PlannedTargets(TypedDict):
    """Targets that the plan writes to, and what resume will do with their pauses."""

    direct: list[str]
    possible: list[str]
    paused_by_workspace: list[str]
    will_unpause: list[str]
    as_of: str


class RiskReport(TypedDict):
    """Risk of the plan: the first hundred refs, and the number of all."""

    code: str
    text: str
    refs: list[Ref]
    advice: str
    count: int


class PlanDocument(TypedDict):
    """Plan: numbers, targets, risks, steps; with `--diff` the changes.

    *fingerprint* is that of a saved plan and of the run that sends this. *seconds* is null while no
    run has shown the pace.
    """

    profile: str
    marketplace: str
    environment: str
    fingerprint: str
    at: str
    entries: int
    steps: int
    waves: int
    remaining: int
    kinds: list[PlannedKind]
    targets: PlannedTargets
    seconds: float | None
    risks: list[RiskReport]
    open_run: str
    planned_steps: list[StepReport]
    changes: NotRequired[list[ChangeReport]]


class PlanExplainDocument(TypedDict):
    """Requests of a ref, and the edits that became them."""

    ref: str
    steps: list[StepReport]
    entries: list[Entry]


class ProfileFacts(TypedDict):
    """Profile; of its secret only where it is kept."""

    name: str
    environment: str
    api_url: str
    auth_url: str
    client_id: str
    secret: str
    marketplace: str
    notify_env: str


class ProfileRow(ProfileFacts):
    """Profile, and whether it is the current one."""

    current: bool


class ProfileListDocument(TypedDict):
    """Profiles of the workspace."""

    profiles: list[ProfileRow]


class ProfileShowDocument(ProfileFacts):
    """Profile with the marketplace that its first sign-in pinned, and its folder."""

    pinned: str
    pinned_url: str
    folder: str


class ProfileName(TypedDict):
    """Name of a profile."""

    profile: str


class ProfileRenamed(ProfileName):
    """New name of a profile, and the one before."""

    was: str


class ProfileTrusted(ProfileName):
    """Profile that is now trusted, and the reason why that was needed."""

    why: str


class ResyncDropped(TypedDict):
    """Unfinished resync that was abandoned: how many of its requests were left."""

    dropped: int
    run: str


class RollbackConflict(TypedDict):
    """Ref that others have changed since: per field the values before, left by the run, and now."""

    ref: Ref
    fields: dict[str, dict[str, Any]]
    why: str


class RollbackLoss(TypedDict):
    """Values of a ref that no request restores."""

    ref: Ref
    what: list[str]
    irreversible: bool


class RollbackDocument(TypedDict):
    """Edits that undo a run, and what they leave out."""

    run: str
    type: Literal["resume", "delete", "resync"]
    dry_run: bool
    staged: list[Entry]
    created: list[Ref]
    file: str
    conflicts: list[RollbackConflict]
    lost: list[RollbackLoss]
    already: list[Ref]
    undone: list[str]
    exit_code: int


class SchemaRow(TypedDict):
    """Schema that `ocsync schema NAME` prints."""

    name: str
    about: str


class SchemaList(TypedDict):
    """Schemas by name."""

    schemas: dict[str, dict[str, Any]]


class DroppedDocument(TypedDict):
    """Number of edits that were unstaged."""

    dropped: int


class ExportedKindFacts(TypedDict):
    """Rows of a kind that were written; `missing` refs were named and do not exist."""

    kind: str
    rows: int
    missing: list[Ref]


class ExportDocument(TypedDict):
    """File with the present state of entities."""

    file: str
    form: str
    rows: int
    kinds: list[ExportedKindFacts]


class StageExportDocument(TypedDict):
    """File that was written; the edits themselves where it is standard output."""

    file: str
    form: str
    entries: int
    refs: int
    exported: NotRequired[list[Entry]]


class StagedTotals(TypedDict):
    """Numbers of the staged edits and of their refs."""

    staged_entries: int
    staged_refs: int


class MappedColumn(TypedDict):
    """Column of a file, and the field that it seems to hold; empty for none."""

    header: str
    field: str
    sure: bool
    examples: list[str]


class StageMapDocument(TypedDict):
    """First mapping for a file; `missing` IDs are in no column.

    `encoding` is the one that was assumed; empty where the file shows its own.
    """

    kind: str
    file: str
    mapping: str
    written: str
    encoding: str
    missing: list[str]
    columns: list[MappedColumn]


class StageImported(StagedTotals):
    """Numbers of the edits of a file, and of their refs.

    `unchanged` rows set no value that differs. `new` and `gone` count the rows that only the file,
    or only the earlier one, has.
    """

    entries: int
    refs: int
    unchanged: int
    new: NotRequired[int]
    gone: NotRequired[int]


class ComparedKind(TypedDict):
    """Numbers of refs of a kind, by where they are, and the fields that were not compared."""

    kind: str
    same: int
    differs: int
    only_source: int
    only_target: int
    not_compared: list[str]


class DifferingRef(TypedDict):
    """Ref that differs: where it exists, and per field the values of `source` and `target`."""

    ref: Ref
    presence: Literal["both", "source", "target"]
    fields: dict[str, dict[str, Any]]


class NotStaged(TypedDict):
    """Ref that only one marketplace has and that no edit can create, with the reason."""

    ref: Ref
    why: str


class StagedComparison(StagedTotals):
    """Numbers of the edits that were staged, and of their refs."""

    entries: int
    refs: int


class CompareDocument(TypedDict):
    """Differences of two marketplaces, of the profiles `source` and `target`."""

    source: str
    target: str
    kinds: list[ComparedKind]
    ignored: list[str]
    absent: list[Ref]
    differing: int
    differences: list[DifferingRef]
    gone_file: str
    staged: NotRequired[StagedComparison]
    not_staged: NotRequired[list[NotStaged]]


class ColumnFacts(TypedDict):
    """Column of a file: how many cells hold what."""

    name: str
    type: str
    filled: int
    empty: int
    null: int
    wrong: int
    distinct: int
    least: Any
    most: Any
    problems: list[str]


class StageImportDryRun(TypedDict):
    """Columns of a file, and what it comes to alone and with the edits that are staged."""

    dry_run: Literal[True]
    file: str
    lines: int
    wrong_lines: int
    columns: list[ColumnFacts]
    unchanged: NotRequired[int]
    alone: NotRequired[Totals]
    with_staged: NotRequired[Totals]


class StagedRef(TypedDict):
    """Ref that is staged, with the numbers of its edits."""

    ref: Ref
    entries: list[int]


class StageListDocument(StagedTotals):
    """Refs that are staged."""

    staged: list[StagedRef]


class StagedDocument(StagedTotals):
    """Edit that was staged."""

    entry: Entry


class StageShowDocument(TypedDict):
    """Staged edits of a ref."""

    ref: str
    entries: list[Entry]


class StageTemplateDocument(TypedDict):
    """Columns of an empty table for a kind."""

    kind: str
    file: str
    columns: list[str]
    required: list[str]
    ops: list[str]


class StagedSummary(TypedDict):
    """Numbers of the staged edits and refs, and the oldest stamp; empty for none."""

    entries: int
    refs: int
    since: str


class StatusDocument(TypedDict):
    """Local state; online also the targets. *due* maps overdue targets to the reason."""

    profile: str
    workspace: str
    pauses: dict[str, PauseRecord]
    attached: dict[str, AttachmentRecord]
    staged: StagedSummary
    last_run: RunReport | None
    unfinished: list[UnfinishedRunReport]
    overdue: list[str]
    due: dict[str, Literal["lease", "window", "age"]]
    marketplace: NotRequired[str]
    targets: NotRequired[list[TargetReport]]
    drifted: NotRequired[list[str]]


class TargetsDocument(TypedDict):
    """Sync configs of all targets."""

    marketplace: str
    targets: list[TargetReport]
    overdue: list[str]
    drifted: list[str]


class UnpauseDocument(TypedDict):
    """Targets that were unpaused; *left_paused* are those of `--leave-paused`."""

    unpaused: list[UnpausedReport]
    left_paused: NotRequired[list[str]]


class VersionDocument(TypedDict):
    """Versions of ocsync, Python and the system."""

    version: str
    python: str
    platform: str


class WindowDocument(TypedDict):
    """End of a window and of its command."""

    exit_code: int
    command_exit_code: int
    seconds: float
    signals: list[str]
    unpaused: list[UnpausedReport]
    unpaused_by_others: list[str]
    changed: dict[str, Any]
    failed: list[TargetFailure]


# Events that are written otherwise than `events.Event`, and others


class StepEndedEvent(TypedDict):
    """Outcome of a step, once it is on disk."""

    outcome: OutcomeReport


class FindingReportedEvent(TypedDict):
    """Finding of verification for a ref that does not match."""

    finding: FindingReport


class VersionEvent(TypedDict):
    """First event of every stream: the format of those that follow."""

    format: Literal[2]


class ConflictReport(TypedDict):
    """Step whose expected values differ; *why* is the reason where no field does."""

    number: int
    ref: Ref
    fields: dict[str, dict[str, Any]]
    why: str


class KeptPauseReport(TypedDict):
    """Target that stays paused, and why; *by_other* says that someone else paused it."""

    target: str
    why: str
    by_other: bool


class LostPauseReport(TypedDict):
    """Target whose pause ended before the replay did; *received* is null without a listener.

    *deleted* says that its sync config was deleted.
    """

    target: str
    sent: int
    received: int | None
    deleted: bool


class ProblemGroupReport(TypedDict):
    """Steps without success for the same reason; *first_refs* names up to three of them."""

    state: str
    status: int
    code: str
    reason: str
    steps: int
    first_refs: list[Ref]


class ResumeSummary(TypedDict):
    """Last event of a resume; *continued* is that of an unfinished run that it continued first."""

    type: Literal["summary"]
    exit_code: int
    run: RunReport | None
    problems: list[OutcomeReport]
    problem_groups: list[ProblemGroupReport]
    conflicts: list[ConflictReport]
    unpaused: list[UnpausedReport]
    still_paused: list[KeptPauseReport]
    lost_pauses: list[LostPauseReport]
    verified: VerificationReport | None
    delivery: DeliveryReport | None
    staged: int
    continued: ResumeSummary | None
    folder: str


class VerifySummary(VerificationReport):
    """Last event of a verification."""

    type: Literal["summary"]
    run: str
    folder: str
    delivery: DeliveryReport | None
    unfinished: list[UnfinishedRunReport]


class DriftedField(TypedDict):
    """Last write of a field: its run, and the value that the write found."""

    run: str
    before: Any


class DriftedRef(TypedDict):
    """Ref with a finding: the run that wrote it last, and the last write of each field."""

    ref: Ref
    run: str
    fields: dict[str, DriftedField]


class UnknownRef(TypedDict):
    """Ref with writes of unknown outcome: per field the run, `""` for all fields."""

    ref: Ref
    fields: dict[str, str]


class DriftSummary(VerificationReport):
    """Last event of a verification of all runs since a time."""

    type: Literal["drift"]
    since: str
    runs: list[str]
    refs: list[DriftedRef]
    unknown: list[UnknownRef]
    unfinished: list[UnfinishedRunReport]


class FailedStep(TypedDict):
    """Ref that was not deleted, and why."""

    ref: Ref
    state: str
    message: str
    blocked_by: str


class DeleteSummary(TypedDict):
    """Last event of a delete; *run* is null if nothing was sent."""

    type: Literal["summary"]
    exit_code: int
    dry_run: bool
    run: RunReport | None
    deleted: int
    missing: int
    failed: list[FailedStep]
    dropped: int
    kept: int


class ClosedTarget(TypedDict):
    """Target that takes no sync requests, and the command that changes that."""

    message: str
    hint: str


class ResyncSummary(TypedDict):
    """Last event of a resync; without *run* there was nothing to send."""

    type: Literal["summary"]
    exit_code: int
    done: int
    failed: list[OutcomeReport]
    run: NotRequired[RunReport]
    closed: NotRequired[list[ClosedTarget]]


class ResumeDryRun(TypedDict):
    """Changes that a resume would send."""

    type: Literal["dry_run"]
    changes: list[ChangeReport]
    unfinished: list[UnfinishedRunReport]


class SyncReport(TypedDict):
    """Entity that would be sent again."""

    target: str
    ref: Ref


class ResyncDryRun(TypedDict):
    """Entities that a resync would send again: how many of each target, and which."""

    type: Literal["dry_run"]
    targets: dict[str, int]
    syncs: list[SyncReport]


class ReferrerReport(TypedDict):
    """Entities that name a ref; *refuses* is the reason why OrderCloud will refuse the delete."""

    kind: str
    refuses: str
    number: int
    refs: list[Ref]


class DeleteRowReport(TypedDict):
    """Ref to delete: its dependents by kind, and what refers to it."""

    ref: Ref
    exists: bool
    deleted_by: str
    dependents: dict[str, int]
    refused: list[ReferrerReport]
    referenced_by: list[ReferrerReport]
    remaining: list[Ref]
    unread: list[str]


class DeleteTargetReport(TypedDict):
    """Target that gets messages of the delete."""

    target: str
    message: Literal["deleted", "unsure", "changed", "off", "no_config", "unread"]
    paused: bool


class DeleteSurvey(TypedDict):
    """Impact of a delete, before it is sent."""

    type: Literal["survey"]
    refs: list[DeleteRowReport]
    number: int
    counted: bool
    targets: list[DeleteTargetReport]
    dropped: list[Entry]
    kept: list[Entry]
    referring: list[Ref]


# Errors and files


class ProblemReport(TypedDict):
    """Fault of the input; *line* and *column* count from 1, 0 for none."""

    where: str
    line: int
    column: int
    field: str
    value: str
    why: str
    sheet: str


class ErrorDocument(TypedDict):
    """Failure, on standard error. *error* is its kind, null for one that was not expected.

    *status*, *code*, *data* and *log_id* are OrderCloud's, where it answered.
    """

    format: Literal[2]
    type: Literal["error"]
    error: str | None
    exit_code: int
    message: str
    hint: str
    problems: NotRequired[list[ProblemReport]]
    status: NotRequired[int]
    code: NotRequired[str]
    data: NotRequired[Any]
    log_id: NotRequired[str]


class ProbeAnswer(TypedDict):
    """Question about the marketplace: *value* is null without an answer.

    A number is seconds, or what the question counts. *evidence* is what was seen, with more lines
    in *details*; *at* is when, and *unanswered* the reason for no answer. *effect* says what an
    answer changes in ocsync.
    """

    name: str
    question: str
    value: str | float | None
    evidence: str
    details: list[str]
    effect: str
    at: str
    unanswered: str


class ProbeDocument(TypedDict):
    """Answers of the probe."""

    answers: list[ProbeAnswer]


class ProbeCleaned(TypedDict):
    """Paths of what an interrupted probe had left, and that were deleted."""

    deleted: list[str]


class Notification(TypedDict):
    """Message of `--notify` to a plain webhook; *error* is null without a failure.

    *targets* are those that are or were paused.
    """

    text: str
    format: Literal[1]
    command: str
    profile: str
    marketplace: str
    exit_code: int
    error: str | None
    run: str
    targets: list[str]
    job: str


class SavedPlan(TypedDict):
    """File of `plan --out`."""

    format: Literal[1]
    fingerprint: str
    targets: list[str]
    steps: list[Step]
