"""One fuzz target under atheris: `python tests/fuzz/run.py TARGET [libFuzzer arguments] [corpus directories]`."""

from __future__ import annotations

import sys

import atheris  # type: ignore[import-untyped] # it has no types

# The rules of keys and tokens are instrumented as they are imported; nothing of them may be imported before.
with atheris.instrument_imports(include=["jwtgate", "fuzz.targets"]):
    from fuzz.targets import TARGETS


def main() -> None:
    """Hand over to libFuzzer, which does not come back."""
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        sys.exit(f"usage: python tests/fuzz/run.py {{{','.join(TARGETS)}}} [libFuzzer arguments] [corpus]")
    name = sys.argv.pop(1)
    atheris.Setup(sys.argv, TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
