"""The command line. One file a command; app.py is their table of contents.

Exit codes: 0 done; 1 it did not work, or was interrupted, or the token was denied; 2 the command line or
gateway.yaml is wrong.
"""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING, NoReturn

from jwtgate.errors import ConfigError, JwtgateError

if TYPE_CHECKING:
    from types import FrameType


_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class _InterruptedError(BaseException):
    """A signal asked us to end. Not an Exception, so that nothing takes it for a fault and goes on."""


def main() -> NoReturn:
    """The program `jwtgate`."""
    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup does with SIGHUP
            signal.signal(number, _interrupt)
    try:
        # Half of a short command's time goes into these imports: Ctrl-C may come meanwhile.
        from jwtgate.cli.app import SILENT, make_app

        if not {*sys.argv[1:2]} & SILENT:
            from jwtgate.cli.logs import configure_logs

            configure_logs(sys.argv[1:])
        make_app(sys.argv[1:])()
    except _InterruptedError:
        sys.stderr.write("interrupted\n")
        sys.exit(1)
    except ConfigError as error:
        sys.exit(_fail(error, 2))
    except JwtgateError as error:
        sys.exit(_fail(error, 1))
    sys.exit(0)


def _interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    """Whatever the command has made so far is removed on the way out, which a second Ctrl-C does not cut short."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise _InterruptedError


def _fail(error: JwtgateError, code: int) -> int:
    sys.stderr.write(f"{error}\n")
    return code
