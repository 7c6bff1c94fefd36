"""A place below `require:` while it is read: its path in the file, its position for people, its complaints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jwtgate.config.values import CONTROL

if TYPE_CHECKING:
    from jwtgate.config.document import Document, Path
    from jwtgate.config.problems import Fault
    from jwtgate.config.report import Report


class WrongError(Exception):
    """What stands at a place is not what was expected. It is caught where the tree is put together."""

    def __init__(
        self, place: Place, message: str, hint: str, *, at_key: bool, inside: tuple[int, int] = (0, 0)
    ) -> None:
        super().__init__(message)
        self.place, self.message, self.hint, self.at_key, self.inside = place, message, hint, at_key, inside


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands. `position` is what failures are named by: `all[1].roles`."""

    document: Document
    path: Path
    position: str
    value: Any

    @property
    def key(self) -> str:
        """The key of the value, in quotes."""
        return f'"{self.path[-1]}"'

    def at(self, key: str) -> Place:
        """The value of a key."""
        below = f"{self.position}.{key}" if self.position else key
        return Place(self.document, (*self.path, key), below, self.value[key])

    def item(self, index: int) -> Place:
        """An item of a list."""
        return Place(self.document, (*self.path, index), f"{self.position}[{index}]", self.value[index])

    def wrong(
        self, message: str, hint: str = "", *, at_key: bool = False, inside: tuple[int, int] = (0, 0)
    ) -> WrongError:
        """To raise. `{value}` in the message stands for the value as the file has it.

        `inside`: line and column within a text, from 1.
        """
        return WrongError(self, message, hint, at_key=at_key, inside=inside)

    def faulty(self, fault: Fault) -> WrongError:
        """To raise, for what a parser of values said."""
        return self.wrong(fault.message.replace("{field}", self.key), fault.hint)

    def texts(self) -> tuple[str, ...]:
        """One text, or a list of texts, none of them empty or there twice."""
        if isinstance(self.value, str):
            return (self.name(),)
        if not isinstance(self.value, list):
            raise self.wrong(f"{self.key} must be text or a list of texts, not {{value}}", "write [a, b]")
        if not self.value:
            raise self.wrong(f"{self.key} is empty", "name at least one")
        names = [self.item(index).name(self.key) for index in range(len(self.value))]
        for index, name in enumerate(names):
            if name in names[:index]:
                raise self.item(index).wrong(f'"{name}" is here twice', "remove one of them")
        return tuple(names)

    def name(self, of: str | None = None) -> str:
        """A text that is not empty; `of` is the list that it is an item of."""
        field = f"an item of {of}" if of else self.key
        if not isinstance(self.value, str):
            raise self.wrong(f"{field} must be text, not {{value}}", 'put it in quotes: "…"')
        if not self.value or CONTROL.search(self.value):
            raise self.wrong(f"{field} is empty or holds a control character", "write a name")
        return self.value


def tell(error: WrongError, report: Report) -> None:
    """Report it, unless the value is a hole, of which the document has told."""
    place = error.place
    if place.value == "" and place.document.is_hole(place.path):
        return
    message = error.message.replace("{value}", place.document.shown(place.path, place.value))
    report.error(place.path, message, error.hint, at_key=error.at_key, inside=error.inside)
