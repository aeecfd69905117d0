"""A short memory of what was read last: several tiles come from one image."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Generic, TypeVar

__all__ = ["Recent"]

Value = TypeVar("Value")


class Recent(Generic[Value]):
    """The latest results of a function of an index.  It travels to another process without them.

    Parameters
    ----------
    load : callable
        Gives the value of an index, such as the pixels of an image.
    size : int
        Values kept.
    """

    def __init__(self, load: Callable[[int], Value], size: int = 4) -> None:
        self.load = load
        self.size = size
        self.kept: OrderedDict[int, Value] = OrderedDict()

    def __call__(self, index: int) -> Value:
        """Return the value of an index, loaded if it is not among the latest."""
        if index not in self.kept:
            self.kept[index] = self.load(index)
            if len(self.kept) > self.size:
                self.kept.popitem(last=False)
        self.kept.move_to_end(index)
        return self.kept[index]

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.load, self.size)
