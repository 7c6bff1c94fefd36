"""Parsers of header names and values. See `values`."""

from __future__ import annotations

import re

from jwtgate.config.problems import Fault
from jwtgate.config.values import MAX_TEXT_BYTES

# RFC 9110, section 5.6.2
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# Headers with a meaning of their own: hop by hop (RFC 9110, section 7.6.1), or about framing, target,
# method, credentials, the client's address and the trace. A `*` stands for any ending.
_OWN_REQUEST_NAMES = (
    "authorization",
    "cf-connecting-ip",
    "connection",
    "content-*",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "proxy",
    "proxy-*",
    "te",
    "traceparent",
    "tracestate",
    "trailer",
    "transfer-encoding",
    "true-client-ip",
    "upgrade",
    "x-accel-*",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-forwarded-*",
    "x-http-method",
    "x-http-method-override",
    "x-jwtgate-*",
    "x-method-override",
    "x-original-*",
    "x-real-ip",
    "x-request-id",
    "x-rewrite-url",
)
_OWN_REQUEST_HEADER = re.compile("|".join(name.replace("*", ".*") for name in _OWN_REQUEST_NAMES), re.IGNORECASE)
_OWN_ANSWER_HEADERS = {
    "cache-control": "a denial is never cached",
    "connection": "NGINX writes it",
    "content-length": "NGINX writes it",
    "content-type": "use content_type beside body",
    "date": "NGINX writes it",
    "keep-alive": "NGINX writes it",
    "server": "NGINX writes it",
    "te": "NGINX writes it",
    "trailer": "NGINX writes it",
    "transfer-encoding": "NGINX writes it",
    "upgrade": "NGINX writes it",
}


def identity_header(value: str) -> str | Fault:
    """The name of a request header that carries a claim to the service."""
    if not _TOKEN.fullmatch(value):
        return Fault("{value} cannot be the name of a header", 'use letters, digits and "-", like X-User')
    if "_" in value:
        return Fault(
            "the identity header {value} has an underscore, and services take X_User and X-User for the same",
            f"write {value.replace('_', '-')}",
        )
    if not re.fullmatch(r"[A-Za-z0-9-]+", value):
        return Fault(
            "{value} cannot be the name of an identity header", 'use letters, digits and "-", like X-User'
        )
    if _OWN_REQUEST_HEADER.fullmatch(value):
        return Fault(
            "the header {value} cannot carry a claim: it has a meaning of its own", "choose another: X-User"
        )
    return value


def request_header(name: str) -> Fault | None:
    """Why a policy cannot read a request header, given in lower case; None when it can."""
    if name == "host":
        return Fault("the header host is read as request.host", "write request.host")
    if _OWN_REQUEST_HEADER.fullmatch(name):
        # What the gateway reads, sets or removes itself would reach the service as something else.
        return Fault(f"the header {name} cannot be read by a policy: it has a meaning of its own", "read another")
    return None


def answer_header(value: str) -> str | Fault:
    """The name of a response header of a denial."""
    if not re.fullmatch(r"[A-Za-z0-9-]+", value):
        return Fault("{value} cannot be the name of a header", 'use letters, digits and "-", like X-Reason')
    if why := _OWN_ANSWER_HEADERS.get(value.lower()):
        return Fault("the header {value} cannot be set on a denial", why)
    return value


def answer_header_value(value: str) -> str | Fault:
    """The value of a response header (RFC 9110, section 5.5): printable ASCII."""
    if re.fullmatch(r"[!-~](?:[ -~]*[!-~])?", value) and len(value) <= MAX_TEXT_BYTES:
        return value
    return Fault("{field} must be printable ASCII, without white space around it", "null removes a header")
