"""What stands before a server: takes connections on a port of loopback, each served in a thread of its own."""

import abc
import contextlib
import socket
import threading


class Front(abc.ABC):
    """`serve` is called with each connection. name: of its threads."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, name=name, daemon=True).start()

    @abc.abstractmethod
    def serve(self, accepted: socket.socket) -> None:
        """Serves one connection until it ends, and closes it."""

    def close(self) -> None:
        """Takes no more connections; those there are end with their programs."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                accepted, _ = self._listener.accept()
            except OSError:
                return  # closed
            threading.Thread(target=self.serve, args=(accepted,), name=f"{self._name}-client", daemon=True).start()
