"""Steps without success: equal ones are one line, with their number and the first refs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from ocsync.models import Outcome, Ref, State
from ocsync.render.text import LINE_LIMIT, Line, count, field_value_text, log_id_text

_NAMED = 3
"""The refs that a line names at most."""
_REQUEST = re.compile(r" \((?:GET|PUT|POST|PATCH|DELETE) /\S*\)")
"""A message's note of the request, which names the IDs of its step."""


class Problem(NamedTuple):
    """A step without success, with the reason for people."""

    ref: Ref
    reason: str
    log_id: str = ""
    state: str = ""
    status: int = 0
    code: str = ""


class ProblemGroup(NamedTuple):
    """Steps without success for the same *reason*, in which their own refs are left out."""

    reason: str
    problems: list[Problem]

    def text(self) -> str:
        """Return the reason and the steps as a line."""
        first, number = self.problems[0], len(self.problems)
        if number == 1:
            return f"{first.ref}   {first.reason}{log_id_text(first.log_id)}"
        first_word = "first " if number > _NAMED else ""
        log_id = f"   (first log ID {first.log_id})" if first.log_id else ""
        return f"{self.reason}: {count(number, 'step')}, {first_word}{self._names()}{log_id}"

    def _names(self) -> str:
        return ", ".join(self._first_refs())

    def _first_refs(self) -> list[Ref]:
        return [problem.ref for problem in self.problems[:_NAMED]]

    def document(self) -> dict[str, Any]:
        """Return the group as JSON data."""
        first = self.problems[0]
        return {
            "state": first.state,
            "status": first.status,
            "code": first.code,
            "reason": self.reason,
            "steps": len(self.problems),
            "first_refs": self._first_refs(),
        }


def problem_of(outcome: Outcome) -> Problem:
    """Return the *outcome* of a step without success as a problem."""
    if outcome.state is State.UNKNOWN:
        parts = [
            f"{path}: "
            + ", ".join(f"{n} {field_value_text(path, v[n])}" for n in ("before", "sent", "found"))
            for path, v in outcome.values.items()
        ]
        reason = f"outcome unknown: {'; '.join(parts)}"
    elif outcome.blocked_by:
        reason = f"blocked by {outcome.blocked_by}"
    else:
        reason = outcome.message or outcome.state.value
    state, status = outcome.state.value, outcome.status
    return Problem(outcome.ref, reason, outcome.log_id, state, status, outcome.code)


def group_problems(problems: Iterable[Problem]) -> list[ProblemGroup]:
    """Return *problems* in groups with the same reason, in the order of their first ones."""
    groups: dict[tuple[str, str], ProblemGroup] = {}
    for problem in problems:
        reason = _shared_reason(problem)
        group = groups.setdefault((problem.state, reason), ProblemGroup(reason, []))
        group.problems.append(problem)
    return list(groups.values())


def problem_lines(problems: Iterable[Problem], remark: str = "") -> Iterator[Line]:
    """Yield a line for each group of *problems* and, if those are too many, the steps left out.

    *remark* follows the number of those, as in `... and 7 more (--verbose)`.
    """
    groups = group_problems(problems)
    for group in groups[:LINE_LIMIT]:
        yield "!", group.text()
    if left := sum(len(group.problems) for group in groups[LINE_LIMIT:]):
        yield "", f"  ... and {left:,} more{remark}"


def _shared_reason(problem: Problem) -> str:
    """Return the reason without the step's own ref and IDs, which alone would tell it apart."""
    kind, *ids = problem.ref.split("/")
    text = _REQUEST.sub("", problem.reason).replace(problem.ref, kind)
    for name in ids:
        text = text.replace(f'"{name}"', '"..."')
    return text.rstrip(".")
