"""What an NGINX configuration does to authentication, whoever wrote it.

effective  text (`nginx -T`, or nginx.conf and what it includes) → a tree of directives, each with file and line
scope      who inherits what: http, server, location, and which location answers a URI
findings   what a rule has to say
rules      the table of rules
gates      rules about auth locations: what could turn a no into a yes
routes     rules about the locations that services stand behind
"""

from jwtgate.lint.effective import is_dump, read_dump, read_file
from jwtgate.lint.findings import Finding
from jwtgate.lint.rules import RULES, lint

__all__ = ["RULES", "Finding", "is_dump", "lint", "read_dump", "read_file"]
