"""gateway.yaml → Plan, with every mistake at its place.

problems.py    a mistake, as a person reads it
scalars.py     plain scalars by YAML 1.2
variables.py   ${NAME} and ${NAME:-default}
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
"""

from __future__ import annotations

from jwtgate.config.compile import Loaded, configured_run_dir, load, load_text
from jwtgate.config.problems import Problem
from jwtgate.config.schema import json_schema

__all__ = ["Loaded", "Problem", "configured_run_dir", "json_schema", "load", "load_text"]
