"""How clients of Kafka wait for their sockets."""

import selectors
from typing import Any


class QuickSelector(selectors.DefaultSelector):
    """For kafka-python, which looks its socket up before each wait, mostly in vain."""

    def get_key(self, fileobj: Any) -> selectors.SelectorKey:
        """As its parent; but the error does not describe the socket, which takes four calls of the kernel."""
        number = fileobj if isinstance(fileobj, int) else fileobj.fileno()
        return super().get_key(fileobj) if number < 0 else self.get_map()[number]
