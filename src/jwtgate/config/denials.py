"""`denials:` of the gateway or a route → overrides of the default answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jwtgate.config.answers import Content, Override, Overrides, json_content
from jwtgate.config.problems import Fault
from jwtgate.config.values import body as parse_body
from jwtgate.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jwtgate.config.document import Path
    from jwtgate.config.report import Report
    from jwtgate.config.schema import DenialSection

_DEFAULT_CONTENT_TYPE = "text/plain; charset=utf-8"


def compile_denials(sections: Mapping[str, DenialSection], path: Path, report: Report) -> Overrides:
    """The overrides that a mapping of reasons asks for; `path` is where it stands."""
    compiled = {name: _override(section, (*path, name), report) for name, section in sections.items()}
    default = compiled.pop("default", None)
    return Overrides(tuple((Reason(name), override) for name, override in compiled.items()), default)


def _override(section: DenialSection, path: Path, report: Report) -> Override:
    headers: dict[str, str] = {}
    for name in section.headers:
        first = headers.setdefault(name.lower(), name)
        if first != name:
            report.error(
                (*path, "headers", name),
                f'the header "{name}" is here twice',
                f'it is written "{first}" above: keep one of them',
                at_key=True,
            )
    return Override(section.status, _content(section, path, report), tuple(section.headers.items()))


def _content(section: DenialSection, path: Path, report: Report) -> Content | None:
    if section.has_json and section.body is not None:
        report.error((*path, "body"), 'this denial has both "json" and "body"', "keep one of them", at_key=True)
        return None
    if section.content_type is not None and section.body is None:
        report.error((*path, "content_type"), '"content_type" goes with "body" only', "add body: …", at_key=True)
        return None
    if section.body is not None:
        return Content(section.content_type or _DEFAULT_CONTENT_TYPE, section.body)
    if not section.has_json:
        return None
    try:
        content = json_content(section.json_body)
    except ValueError:
        report.error((*path, "json"), "JSON has no infinite numbers and no .nan", "write a number, or null")
        return None
    checked = parse_body(content.body)
    if isinstance(checked, Fault):
        report.error((*path, "json"), checked.message.replace("{field}", '"json"'), checked.hint)
        return None
    return content
