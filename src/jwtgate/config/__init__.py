"""gateway.yaml → Plan, with every mistake at its place.

problems.py    a mistake, as a person reads it
scalars.py     plain scalars by YAML 1.2
variables.py   ${NAME} and ${NAME:-default}
text.py        the file → its text
document.py    YAML text → values with places
values.py      parsers of single values; so are addresses.py, paths.py and headers.py
schema.py      the sections, and the JSON Schema
validate.py    values → sections
report.py      where the compiler puts what it finds
files.py       files that the configuration names
issuers.py     issuers
denials.py     denials → overrides of answers
answers.py     reasons and overrides → answers
routes.py      policies and routes
compile.py     all of it → Plan
run_dir.py     `run_dir` alone, for commands that look for a running gateway
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jwtgate.lazy import lazy_names

if TYPE_CHECKING:
    from jwtgate.config.compile import Loaded, load, load_text
    from jwtgate.config.problems import Problem
    from jwtgate.config.run_dir import configured_run_dir
    from jwtgate.config.schema.json_schema import json_schema
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "jwtgate.config.compile": ("Loaded", "load", "load_text"),
            "jwtgate.config.problems": ("Problem",),
            "jwtgate.config.run_dir": ("configured_run_dir",),
            "jwtgate.config.schema.json_schema": ("json_schema",),
        },
    )

__all__ = ["Loaded", "Problem", "configured_run_dir", "json_schema", "load", "load_text"]
