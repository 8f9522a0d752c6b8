"""Tags: what an answer depends on, and the slots of the generation table that they stand for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Family:
    """Tags of one kind, in a fixed range of slots that begins at `slot`.

    A plural (`POSTS`, any list a post can be in) has that one slot. A singular (`POST`) has `size` more: its member of
    id n is in slot `slot + 1 + n % size`, and `slot` itself moves when so many change at once that naming each would
    cost more than it saves. Slots are stored in the database: a family keeps its numbers for ever.
    """

    name: str
    slot: int
    size: int = 0

    def __post_init__(self) -> None:
        if self.slot < 0 or self.size < 0:
            raise ValueError("slots are positive")

    @property
    def slots(self) -> range:
        """All slots of the family."""
        return range(self.slot, self.slot + 1 + self.size)

    def member(self, id: int) -> tuple[int, ...]:
        """The slots that an answer about the thing of this id depends on."""
        return (self.slot, self.slot + 1 + id % self.size)

    def of(self, argument: str) -> Member:
        """The tag of the thing whose id is that argument of the route (`POST.of("id")`)."""
        if not self.size:
            raise ValueError(f"{self.name} has no members")
        return Member(self, argument)

    def resolve(self, arguments: Mapping[str, Any]) -> tuple[int, ...]:
        """The slots of a plural, whatever the arguments."""
        if self.size:
            raise ValueError(f"say which {self.name}: {self.name.upper()}.of(argument)")
        return (self.slot,)

    @property
    def family(self) -> Family:
        """Itself: a plural is a tag of its own family."""
        return self

    def when(self, argument: str, value: str) -> When:
        """The tag, where that value is among those of the query's argument (`USERS.when("include", "author")`)."""
        return When(self, argument, value)


@dataclass(frozen=True)
class Member:
    """The tag of one thing, named by an argument of the route."""

    family: Family
    argument: str

    def resolve(self, arguments: Mapping[str, Any]) -> tuple[int, ...]:
        """The slots for these arguments."""
        return self.family.member(arguments[self.argument])


@dataclass(frozen=True)
class When:
    """A tag of those answers alone that were asked to hold more."""

    family: Family
    argument: str
    value: str

    def resolve(self, arguments: Mapping[str, Any]) -> tuple[int, ...]:
        """The slots for these arguments."""
        return self.family.resolve(arguments)

    def applies(self, arguments: Mapping[str, Any]) -> bool:
        """Whether the answer was asked to hold it."""
        return self.value in (arguments.get(self.argument) or ())


Tag = Family | Member | When


def slots_of(tags: tuple[Tag, ...], arguments: Mapping[str, Any]) -> tuple[int, ...]:
    """The slots of all tags, sorted, each once."""
    return tuple(sorted({slot for tag in tags for slot in tag.resolve(arguments)}))
