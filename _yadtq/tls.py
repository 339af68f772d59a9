"""TLS as it is when it does not work: what is wrong with a certificate, and what a port speaks in its place."""

import functools
import socket
import ssl
from collections.abc import Iterator

from _yadtq.log import visible
from _yadtq.settings import Settings

PROBE_SECONDS = 1.0
TLS_ALERT = b"\x15"  # what a server that expects TLS answers to anything else
OTHER_NAME = {62, 64}  # OpenSSL's numbers: the certificate names another host, another address


def certificate_problem(error: BaseException, host_variable: str, ca_variable: str) -> str:
    """What is wrong with a server's certificate, and what to set; '' when an error is not about that."""
    wrong = next((each for each in _chain(error) if isinstance(each, ssl.SSLCertVerificationError)), None)
    if wrong is None:
        return ""
    if wrong.verify_code in OTHER_NAME:
        return f"shows a certificate for another name: set {host_variable} to a name that is in the certificate"
    reason = visible(wrong.verify_message)
    return f"shows a certificate that cannot be trusted ({reason}): set {ca_variable} to the authority that signed it"


def redis_misconfiguration(error: BaseException, settings: Settings) -> str:
    """What no waiting mends, and what to set, when Redis cannot be reached. '' when it seems to be away."""
    problem = certificate_problem(error, "REDIS_HOST", "REDIS_CA_FILE")
    if problem or any(isinstance(each, ConnectionRefusedError | socket.gaierror) for each in _chain(error)):
        return problem
    if not settings.redis_tls and speaks_tls(settings.redis_host, settings.redis_port):
        return "speaks TLS: set REDIS_TLS=yes, or REDIS_PORT to a port without it"
    if settings.redis_tls and answers_plainly(settings.redis_host, settings.redis_port, b"PING\r\n"):
        return "does not speak TLS: set REDIS_PORT to the port that does, or REDIS_TLS=no"
    return ""


def speaks_tls(host: str, port: int) -> bool:
    """Whether a server answers TLS there, whoever it is. Takes a second at most, and is asked once a process."""
    try:
        return _speaks_tls(host, port)
    except OSError:  # it is away, and may come back as anything: not remembered
        return False


def answers_plainly(host: str, port: int, question: bytes) -> bool:
    """Whether a server answers a question there without TLS. Takes a second at most, and is asked once a process."""
    try:
        return _answers_plainly(host, port, question)
    except OSError:
        return False


@functools.lru_cache(maxsize=16)
def _speaks_tls(host: str, port: int) -> bool:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # nothing is told to it, and nothing believed
    try:
        with (
            socket.create_connection((host, port), timeout=PROBE_SECONDS) as connection,
            context.wrap_socket(connection),
        ):
            return True
    except TimeoutError:  # a second, which is spent once
        return False


@functools.lru_cache(maxsize=16)
def _answers_plainly(host: str, port: int, question: bytes) -> bool:
    try:
        with socket.create_connection((host, port), timeout=PROBE_SECONDS) as connection:
            connection.sendall(question)
            return connection.recv(1) not in {b"", TLS_ALERT}
    except TimeoutError:
        return False


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what it came from."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
