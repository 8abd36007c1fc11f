"""An endpoint: a verb at a path, with its handler and the roles allowed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import NamedTuple

from ocsync.emulator.request import ApiRequest, ApiResponse
from ocsync.schema import Kind, Target

Handler = Callable[[ApiRequest], ApiResponse | Awaitable[ApiResponse]]


class Endpoint(NamedTuple):
    """A verb at a path below `/v1`, whose parts in braces are the names of IDs.

    Any role is allowed where there are none in *roles*; a *public* one needs no token.
    """

    verb: str
    path: str
    handler: Handler
    roles: tuple[str, ...]
    public: bool = False

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of the IDs in the path."""
        return tuple(part[1:-1] for part in self.path.split("/") if part.startswith("{"))

    @property
    def handler_name(self) -> str:
        """The handler's class and name, as in `Entities.get`."""
        function = self.handler.func if isinstance(self.handler, partial) else self.handler
        return str(function.__qualname__)

    @property
    def subject(self) -> Kind | Target | None:
        """The kind or target that the handler is bound to, if any."""
        bound = self.handler.args[:1] if isinstance(self.handler, partial) else ()
        return bound[0] if bound and isinstance(bound[0], Kind | Target) else None
