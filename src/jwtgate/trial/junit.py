"""Results as JUnit's XML, the form that CI systems read."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jwtgate.trial.run import Result


def junit(results: Mapping[str, Sequence[Result]]) -> bytes:
    """A `testsuites` document: a suite for each file, a case for each request."""
    root = ET.Element("testsuites", name="jwtgate test")
    for file, cases in results.items():
        failures = sum(bool(each.wrong) for each in cases)
        suite = ET.SubElement(
            root, "testsuite", name=file, tests=str(len(cases)), failures=str(failures), errors="0", skipped="0"
        )
        for each in cases:
            case = ET.SubElement(suite, "testcase", name=_printable(each.request.name), classname=file)
            if each.wrong:
                failure = ET.SubElement(case, "failure", message=_printable(each.wrong))
                failure.text = f"{each.request.place}: {_printable(each.wrong)}"
    written: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return written


def _printable(text: str) -> str:
    """XML 1.0, section 2.2: a document holds no control characters."""
    return "".join(character if character.isprintable() else "?" for character in text)
