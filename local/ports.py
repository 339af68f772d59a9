"""Ports of this machine."""

import socket


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def is_free(port: int) -> bool:
    """Whether a server could listen on 127.0.0.1:`port`."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def exchange(address: tuple[str, int], request: bytes, size: int, timeout: float) -> bytes:
    """Sends `request` to a server and returns the first `size` bytes of its answer (fewer when it hangs up).

    timeout: seconds for each step. Raises OSError when nobody answers.
    """
    answer = b""
    with socket.create_connection(address, timeout=timeout) as connection:
        connection.sendall(request)
        while len(answer) < size:
            piece = connection.recv(size - len(answer))
            if not piece:
                break
            answer += piece
    return answer
