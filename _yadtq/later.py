"""What is made when it is first used: a program that does not use it does not wait for the import of what it needs."""

import importlib
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any


def loaded_when_asked_for(names: Mapping[str, Sequence[str]]) -> Callable[[str], Any]:
    """A module's `__getattr__`, for names that it takes from modules of this package. names: by module."""
    module_of = {name: module for module, its_names in names.items() for name in its_names}

    def attribute(name: str) -> Any:
        if name not in module_of:
            raise AttributeError(f"module 'yadtq' has no attribute {name!r}")
        return getattr(importlib.import_module(f"_yadtq.{module_of[name]}"), name)

    return attribute


class Later:
    """Stands for an object that `make` makes once, however many threads want it. Closing it makes nothing."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._made: Any = None

    def __getattr__(self, name: str) -> Any:
        with self._lock:
            if self._made is None:
                self._made = self._make()
        return getattr(self._made, name)

    def close(self) -> None:
        """Closes the object, when there is one."""
        if self._made is not None:
            self._made.close()
