"""The body of a request to an OAuth endpoint: a form, of bounded size, each parameter once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

from jwtgate.signer.oauth_errors import OAuthError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

MAX_FORM_BYTES: Final = 32768  # two tokens of the largest size, and room
_MAX_FIELDS: Final = 50
_FORM: Final = "application/x-www-form-urlencoded"

# RFC 8693, section 2.1, and RFC 8707, section 2: these may come several times.
_REPEATABLE: Final = frozenset({"resource", "audience"})

Form = dict[str, list[str]]


async def read_form(request: Request) -> Form:
    """The parameters. Raises OAuthError for what is no form, or too large, or has a parameter twice."""
    # RFC 6749, section 3.2, and appendix B.
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise OAuthError("invalid_request", f"the body must be a form: Content-Type: {_FORM}")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FORM_BYTES:
            message = f"the form is larger than {MAX_FORM_BYTES} bytes"
            raise OAuthError("invalid_request", message, status=413)
    return parse_form(bytes(body))


def parse_form(body: bytes) -> Form:
    """The parameters that a body spells. Raises OAuthError."""
    try:
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, max_num_fields=_MAX_FIELDS, errors="strict"
        )
    except ValueError:  # UnicodeDecodeError is one
        raise OAuthError("invalid_request", "the form cannot be read") from None
    form: Form = {}
    for name, value in pairs:
        # RFC 6749, section 3.2: "Parameters sent without a value MUST be treated as if they were omitted".
        if value:
            form.setdefault(name, []).append(value)
    for name, values in form.items():
        # "Request and response parameters MUST NOT be included more than once."
        if len(values) > 1 and name not in _REPEATABLE:
            raise OAuthError("invalid_request", "a parameter stands there twice")
    return form


def optional(form: Mapping[str, list[str]], name: str) -> str | None:
    """The value of a parameter, or None."""
    return form.get(name, [None])[0]


def required(form: Mapping[str, list[str]], name: str) -> str:
    """The value of a parameter. Raises OAuthError when it is not there."""
    value = optional(form, name)
    if value is None:
        raise OAuthError("invalid_request", f"the parameter {name} is missing")
    return value
