"""Refusals in the platform's form (api-facts 2.1 to 2.3)."""

from __future__ import annotations

from typing import Any


class Refusal(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, code: str, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.data = data

    def body(self) -> dict[str, Any]:
        """The answer's body."""
        return {"Errors": [{"ErrorCode": self.code, "Message": self.message, "Data": self.data}]}


def not_found(noun: str, name: str) -> Refusal:
    """404 for the object *name* of the type *noun*."""
    data = {"ObjectType": noun, "ObjectID": name}
    return Refusal(404, "NotFound", f'{noun} "{name}" does not exist', data)


def invalid(field: str, why: str) -> Refusal:
    """400 for one field."""
    return Refusal(400, "ValidationFailure", f"{field}: {why}", {"Field": field})
