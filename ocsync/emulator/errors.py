"""Error responses in the platform's form (guide/ordercloud.md 2.1 to 2.3)."""

from __future__ import annotations

from typing import Any


class ErrorResponse(Exception):
    """A response with an error, raised by a handler."""

    def __init__(self, status: int, code: str, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.data = data

    def body(self) -> dict[str, Any]:
        """Return the response's body."""
        return {"Errors": [{"ErrorCode": self.code, "Message": self.message, "Data": self.data}]}


def not_found(type_name: str, name: str) -> ErrorResponse:
    """Return a 404 for the object *name* of the type *type_name*."""
    data = {"ObjectType": type_name, "ObjectID": name}
    return ErrorResponse(404, "NotFound", f'{type_name} "{name}" does not exist', data)


def invalid(field: str, reason: str) -> ErrorResponse:
    """Return a 400 for one field."""
    return ErrorResponse(400, "ValidationFailure", f"{field}: {reason}", {"Field": field})
