"""JSON Schemas of all JSON: documents by command, events by type, errors, and files."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from inspect import cleandoc
from typing import Any, NamedTuple

import msgspec

from ocsync import events, models
from ocsync.render import json_types as types
from ocsync.render.console import FORMAT
from ocsync.store.runs import RunInfo

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_EMPHASIS = re.compile(r"\*(\w+)\*")
_Member = dict[str, Any]

DOCUMENTS: dict[str, tuple[Any, ...]] = {
    "compare": (types.CompareDocument,),
    "completion": (types.CompletionDocument,),
    "delivery apply": (types.DeliveryApplyDocument,),
    "delivery attach": (types.DeliveryAttachDocument,),
    "delivery bind": (types.DeliveryBindDocument,),
    "delivery detach": (types.DeliveryDetachDocument,),
    "delivery list": (types.DeliveryListDocument,),
    "delivery show": (types.DeliveryShowDocument,),
    "delivery unbind": (types.DeliveryUnbindDocument,),
    "demo": (types.DemoDocument,),
    "doctor": (types.DoctorDocument,),
    "emulator": (types.EmulatorDocument,),
    "expire": (types.ExpireDocument,),
    "export": (types.ExportDocument,),
    "help": (types.HelpPage, types.HelpTopics),
    "history": (types.HistoryList, types.HistoryRun),
    "history prune": (types.HistoryPruneDocument,),
    "init": (types.InitDocument,),
    "listen http": (types.ListenHttpDocument,),
    "listen kafka": (types.ListenKafkaDocument,),
    "listen log": (types.DistinctMessages, types.AllMessages),
    "login": (types.IdentityDocument,),
    "pause": (types.PauseDocument,),
    "plan": (types.PlanDocument,),
    "plan explain": (types.PlanExplainDocument,),
    "probe": (types.ProbeDocument, types.ProbeCleaned),
    "profile add": (types.ProfileRow,),
    "profile check": (types.IdentityDocument,),
    "profile edit": (types.ProfileFacts,),
    "profile list": (types.ProfileListDocument,),
    "profile remove": (types.ProfileName,),
    "profile rename": (types.ProfileRenamed,),
    "profile show": (types.ProfileShowDocument,),
    "profile trust": (types.ProfileTrusted,),
    "profile use": (types.ProfileName,),
    "resync": (types.ResyncDropped,),
    "rollback": (types.RollbackDocument,),
    "schema": (types.SchemaList,),
    "stage adjust": (types.StagedDocument,),
    "stage assign": (types.StagedDocument,),
    "stage clear": (types.DroppedDocument,),
    "stage drop": (types.DroppedDocument,),
    "stage export": (types.StageExportDocument,),
    "stage generate": (types.StagedDocument,),
    "stage import": (types.StageImported, types.StageImportDryRun),
    "stage list": (types.StageListDocument,),
    "stage map": (types.StageMapDocument,),
    "stage put": (types.StagedDocument,),
    "stage set": (types.StagedDocument,),
    "stage show": (types.StageShowDocument,),
    "stage template": (types.StageTemplateDocument,),
    "status": (types.StatusDocument,),
    "targets": (types.TargetsDocument,),
    "unpause": (types.UnpauseDocument,),
    "version": (types.VersionDocument,),
    "window": (types.WindowDocument,),
}
"""The types of each command's document: one of them describes it."""
STREAMS: dict[str, tuple[Any, ...]] = {
    "delete": (types.DeleteSurvey, types.DeleteSummary),
    "resume": (types.ResumeDryRun, types.ResumeSummary),
    "resync": (types.ResyncDryRun, types.ResyncSummary),
    "verify": (types.VerifySummary, types.DriftSummary),
}
"""The types of the events that mean something else in the stream of each command."""
_OTHER_EVENTS: dict[str, Any] = {
    "finding_reported": types.FindingReportedEvent,
    "step_ended": types.StepEndedEvent,
    "version": types.VersionEvent,
}
"""The events whose JSON has another type than the code's."""
_FILES: dict[str, Any] = {
    "entry": models.Entry,
    "finding": models.Finding,
    "intent": models.Intent,
    "message": models.Delivery,
    "notification": types.Notification,
    "outcome": models.Outcome,
    "pace sample": models.PaceSample,
    "run": RunInfo,
    "saved plan": types.SavedPlan,
    "step": models.Step,
}
"""The types of the records in files of the workspace, of a saved plan, and of a message."""


class _Source(NamedTuple):
    """Types of a schema, one of which holds, and the *members* that they do not have themselves."""

    kinds: tuple[Any, ...]
    members: _Member


def schema_names() -> list[str]:
    """Return the names of all schemas, in alphabetical order."""
    return sorted(_sources())


def schema_of(name: str) -> dict[str, Any]:
    """Return the JSON Schema called *name*. Raises KeyError."""
    source = _sources()[name]
    found, components = msgspec.json.schema_components(source.kinds, ref_template="#/$defs/{name}")
    bodies = [_inlined(one, components, source.members) for one in found]
    used = _used([*bodies, *components.values()])
    definitions = {key: value for key, value in components.items() if key in used}
    for one in (*bodies, *definitions.values()):
        if "description" in one:
            text = " ".join(cleandoc(one["description"]).split())
            one["description"] = _EMPHASIS.sub(r"`\1`", text)
    head = {"$schema": _DIALECT, "title": name}
    if len(bodies) == 1:
        schema = {**bodies[0], **head}
    else:
        about = " Or: ".join(body["description"] for body in bodies)
        schema = {**head, "description": about, "anyOf": bodies}
    whole = {**schema, "$defs": definitions} if definitions else schema
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(whole))
    return plain


def summary_of(schema: dict[str, Any]) -> str:
    """Return the first clause of a schema's description as a sentence."""
    return re.split(r"[.;:] ", schema["description"])[0].removesuffix(".") + "."


@functools.cache
def _sources() -> dict[str, _Source]:
    """Return the source of each schema by its name."""
    found: dict[str, _Source] = {}
    for command, kinds in DOCUMENTS.items():
        members = {"format": {"const": FORMAT}, "command": {"const": command}}
        found[_slug(command)] = _Source(kinds, members)
    for command, kinds in STREAMS.items():
        for kind in kinds:
            word = msgspec.json.schema_components([kind])[1][kind.__name__]
            [event] = word["properties"]["type"]["enum"]
            found[_slug(f"{command} {event}")] = _Source((kind,), {})
    for event in _event_types():
        found[_slug(f"event {event.__struct_config__.tag}")] = _Source((event,), {})
    for tag, kind in _OTHER_EVENTS.items():
        found[_slug(f"event {tag}")] = _Source((kind,), {"type": {"const": tag}})
    found["error"] = _Source((types.ErrorDocument,), {})
    for name, kind in _FILES.items():
        found[_slug(name)] = _Source((kind,), {})
    return found


def _event_types() -> Iterator[Any]:
    """Yield the types of the events that are written as they are."""
    for event in events.Event.__subclasses__():
        if event.__struct_config__.tag not in _OTHER_EVENTS:
            yield event


def _slug(text: str) -> str:
    return text.replace(" ", "-").replace("_", "-")


def _inlined(schema: _Member, components: dict[str, _Member], members: _Member) -> _Member:
    """Return *schema*, or the component that it refers to, with *members* too."""
    reference = schema.get("$ref", "").rpartition("/")[2]
    body = dict(components[reference]) if reference else dict(schema)
    if not members:
        return body
    is_open = body.get("type") == "object" and "properties" not in body
    return {
        **body,
        **({"additionalProperties": {}} if is_open else {}),
        "properties": {**members, **body.get("properties", {})},
        "required": [*members, *body.get("required", ())],
    }


def _used(schemas: list[Any]) -> set[str]:
    """Return the names of the components that *schemas* refer to."""
    used: set[str] = set()

    def visit(value: Any) -> None:
        if isinstance(value, dict):
            if isinstance(reference := value.get("$ref"), str):
                used.add(reference.rpartition("/")[2])
            for inner in value.values():
                visit(inner)
        elif isinstance(value, list):
            for inner in value:
                visit(inner)

    visit(schemas)
    return used
