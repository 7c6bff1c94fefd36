"""A value as NGINX's grammar writes it, or a refusal.

NGINX's lexer (ngx_conf_file.c) splits at white space, `;`, `{` and `}`, knows both kinds of quotes, and in a
token turns `\\"`, `\\'`, `\\\\`, `\\t`, `\\r`, `\\n` into one character; any other backslash stays. A token has at
most 4,095 bytes. What becomes of `$` is up to the directive, so a literal dollar is refused by `quote`; in the
few places where NGINX interpolates, `quote_text` writes it as a variable that holds one.

The templates accept nothing but `Quoted` text and integers, so that a value that nobody quoted cannot get in.
"""

from __future__ import annotations

import re

from jwtgate.errors import UnquotableError

MAX_TOKEN_BYTES = 4000  # the lexer's buffer is NGX_CONF_BUFFER = 4096 bytes, quotes and some slack included

DOLLAR = "${jwtgate_dollar}"  # a geo block in the template defines it as `$`

_BARE = re.compile(r"[A-Za-z0-9_./:@=+,*-][A-Za-z0-9_./:@=+,*~^-]*\Z")
_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"})
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


class Quoted(str):
    """Text that is safe to stand in a configuration as it is."""

    __slots__ = ()


def quote(value: str) -> Quoted:
    """One token of the configuration that NGINX reads back as `value`.

    Raises UnquotableError for control characters, for `$`, and for what is too long for NGINX's lexer.
    """
    if "$" in value:
        raise UnquotableError(f"{value!r} has a `$`, which NGINX would take for a variable")
    return _quote(value)


def quote_text(text: str) -> Quoted:
    """Like `quote`, for arguments that NGINX interpolates (`return`, `add_header`): a dollar stays a dollar."""
    return _quote(text)


def _quote(value: str) -> Quoted:
    if _CONTROL.search(value):
        raise UnquotableError(f"{value!r} has a control character, which NGINX's configuration cannot carry")
    if _BARE.match(value):
        quoted = value
    else:
        mark = "'" if '"' in value and "'" not in value else '"'  # whichever needs fewer backslashes
        escaped = value.translate(_ESCAPES).replace(mark, "\\" + mark)
        quoted = mark + escaped.replace("$", DOLLAR) + mark
    if len(quoted.encode()) > MAX_TOKEN_BYTES:
        raise UnquotableError(
            f"the text that begins {value[:40]!r} is longer than {MAX_TOKEN_BYTES} bytes, more than NGINX reads"
        )
    return Quoted(quoted)
