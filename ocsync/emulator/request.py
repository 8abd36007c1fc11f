"""A request under way and its answer, as handlers see them."""

from __future__ import annotations

from typing import Any, NamedTuple

from ocsync.emulator.errors import ErrorResponse
from ocsync.emulator.state import Document


class Caller(NamedTuple):
    """Who asks: the client, the user it acts as, what sort of user that is, and the roles."""

    client: str
    user: str
    user_type: str
    company: str
    roles: tuple[str, ...]


class ApiRequest(NamedTuple):
    """A request under way: its path's IDs by name, its query, its decoded body."""

    ids: dict[str, str]
    query: dict[str, list[str]]
    body: Any
    caller: Caller

    def document(self) -> Document:
        """The body, which must be an object."""
        if not isinstance(self.body, dict):
            raise ErrorResponse(400, "Request.InvalidRequestBody", "the body is not a JSON object")
        return self.body

    def parameter(self, name: str) -> str:
        """A query parameter, in whatever case it came; empty without one."""
        folded = name.casefold()
        return next((v[-1] for n, v in self.query.items() if n.casefold() == folded), "")


class ApiResponse(NamedTuple):
    """A status, and a body unless it is None."""

    status: int
    body: Any = None
