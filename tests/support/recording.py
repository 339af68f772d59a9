"""What a person sees: a session of the shell in a real terminal, as text for README.md.

`python -m tests.support.recording` runs `start.py` with servers of its own and writes the page anew. They listen on
free ports, and the page shows the usual ones. A test runs the session again and compares it, but for ids and times.
"""

import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from local.ports import free_port
from tests.support.generated_docs import ROOT, rewritten
from tests.support.servers import JARS
from tests.support.terminal import Terminal

PAGE = ROOT / "README.md"
COLUMNS, LINES = 200, 90
WORKERS = 4

# What is typed, and what is waited for before the next line.
SESSION = (
    ("ADD 2 3", r"completed  add 2 3 = 5"),
    ("DIV 1 3", r"completed  div 1 3 = 0\.3"),
    ("DIV 1 0", r"failed  div 1 0 · ZeroDivisionError"),
    ("SLEEP 5", r"in progress 1"),
    ("Show-Tasks in-progress", r"sleep 5  in-progress"),
    ("Wait _", r"completed  sleep 5 = slept 5 s"),
    ("Show-Tasks", r"sleep 5 +completed(.*\n)+.*add 2 3 +completed"),
    ("View _", r"attempts\n(.*\n)+.* success "),
)


def recorded(command: list[str], environment: Mapping[str, str], end: str = "") -> str:
    """The whole screen after the session. end: what the program prints last of all, after Exit."""
    variables = [f"{name}={value}" for name, value in {"NO_COLOR": "1", **environment}.items()]
    terminal = Terminal("env", *variables, *command, columns=COLUMNS, lines=LINES)
    try:
        terminal.see(r"workers [1-9]", 120)
        for line, answer in SESSION:
            terminal.type(line)
            terminal.see(answer)
        screen = terminal.text
        terminal.type("Exit")
        if end:
            terminal.see(end, 60)
            screen = terminal.text
    finally:
        terminal.close()
    return screen


def masked(text: str) -> str:
    """A recording without what differs from run to run: ids, times, names, and the widths that follow from them."""
    text = re.sub(r"\b[a-z2-7]{26}\b", "ID", text)
    text = re.sub(r"^(?!attempts|finished)[a-z2-7]{8}(?= )", "ID", text, flags=re.MULTILINE)
    text = re.sub(r"\d{4}-\d\d-\d\d ", "", text)
    text = re.sub(r"\d\d:\d\d:\d\d\.\d{3}([+-]\d\d:\d\d)?", "INSTANT", text)
    text = re.sub(r"(<|\b)[\d.]+ ?(s|ms)\b", "TIME", text)
    text = re.sub(r"\bworker\d\b", "WORKER", text)
    text = re.sub(r"(submitted by +).*", r"\1CLIENT", text)
    text = re.sub(r"^yadtq( \w+)?>", "yadtq>", text, flags=re.MULTILINE)
    return re.sub(r" +|-{2,}", " ", text)


def session_of(text: str) -> str:
    """The part from the first line that was typed to the last answer."""
    lines = [line.rstrip() for line in text.splitlines()]
    typed = [number for number, line in enumerate(lines) if re.match(r"yadtq[^:>]*> \w", line) and "Exit" not in line]
    over = [number for number, line in enumerate(lines) if re.fullmatch(r"yadtq[^:>]*>( Exit)?", line)]
    return "\n".join(lines[typed[0] : min([*over, len(lines)])])


def of_page() -> str:
    """The recording as README.md has it."""
    found = re.search(
        r"<!-- generated: recording -->\n\n```text\n(.*?)\n```", PAGE.read_text(encoding="utf-8"), re.DOTALL
    )
    return found[1] if found else ""


def main() -> None:
    """Records a run of start.py and writes it into README.md."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / ".yadtq"
        home.mkdir()
        (home / "jars").symlink_to(JARS)
        kafka, redis = str(free_port()), str(free_port())
        program = [sys.executable, str(ROOT / "start.py"), "--home", str(home)]
        environment = {"XDG_STATE_HOME": folder, "REDIS_PORT": redis}
        screen = recorded([*program, "--workers", str(WORKERS), "--kafka-port", kafka], environment, "✓ stopping Redis")
        subprocess.run([*program, "--stop"], check=True, capture_output=True)
        screen = screen.replace(f"{folder}/", "").replace(f":{kafka}", ":9092").replace(f":{redis}", ":6379")
    screen = re.sub(r"127\.0\.0\.1:\d+/metrics", "127.0.0.1:8081/metrics", screen)
    screen = re.sub(r"(submitted by +).*", r"\1laptop-4711~a1b2c3", screen)
    page = rewritten(PAGE.read_text(encoding="utf-8"), "recording", f"```text\n$ make up\n{screen}\n```")
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
