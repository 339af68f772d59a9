"""What is made when it is first used: a program that does not use it does not wait for the import of what it needs."""

import threading
from collections.abc import Callable
from typing import Any


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
