"""An API request and its response, as handlers see them."""

from __future__ import annotations

from typing import Any, NamedTuple

from ocsync.emulator.errors import ErrorResponse
from ocsync.emulator.state import Document


class Caller(NamedTuple):
    """The caller of a request: client, user, type and organisation of the user, and roles."""

    client: str
    user: str
    user_type: str
    company: str
    roles: tuple[str, ...]


ANYONE = Caller("", "", "", "", ())
"""The caller of a public endpoint."""


class ApiRequest(NamedTuple):
    """An API request: the IDs in its path by name, its query, its decoded body."""

    ids: dict[str, str]
    query: dict[str, list[str]]
    body: Any
    caller: Caller

    def document(self) -> Document:
        """Return the body, or raise a 400 when it is not an object."""
        if not isinstance(self.body, dict):
            raise ErrorResponse(400, "Request.InvalidRequestBody", "the body is not a JSON object")
        return self.body

    def parameter(self, name: str) -> str:
        """Return a query parameter, whose name may be in any case; empty without one."""
        folded = name.casefold()
        return next((v[-1] for n, v in self.query.items() if n.casefold() == folded), "")


class ApiResponse(NamedTuple):
    """A status, a body unless it is None, and the ID that a POST created below its path."""

    status: int
    body: Any = None
    created: str = ""
