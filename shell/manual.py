"""Help, and the generated part of docs/shell.md (`python -m shell.manual` writes it anew)."""

from pathlib import Path

from shell.answers import Answer, Column, Record, Table
from shell.arguments import Command
from shell.operands import usage
from shell.session import Session
from shell.submission import named_task
from yadtq import ServerUnreachable, Signature

PAGE = Path(__file__).resolve().parent.parent / "docs" / "shell.md"
BEGIN, END = "<!-- generated from shell/commands.py by python -m shell.manual -->\n", "<!-- end -->\n"
OVERVIEW = (Column("command"), Column("what it does", flexible=True))
TASKS = (Column("task"), Column("what it does", flexible=True))


def show_help(session: Session, name: str, line: str = "", **_: object) -> Answer:
    """All commands and tasks, or one of them."""
    if not name:
        return _overview(session)
    for command in session.commands:
        if name.lower() in (command.name.lower(), *(other.lower() for other in command.other_names)):
            return _about_command(command)
    names = [command.name for command in session.commands]
    return _about_task(named_task(session, name, line, max(0, line.find(name)), names))


def _overview(session: Session) -> Record:
    try:
        known = session.signatures()
    except ServerUnreachable:
        known = {}
    commands = tuple((_short_usage(command), command.about) for command in session.commands)
    tasks = tuple((usage(signature), signature.about) for _, signature in sorted(known.items()))
    data = {"commands": [command.name for command in session.commands], "tasks": sorted(known)}
    tables = [("", Table(OVERVIEW, commands))]
    tables += [("", Table(TASKS, tasks))] if tasks else []
    return Record((), data, tuple(tables))


def _about_command(command: Command) -> Record:
    fields = [("usage", command.usage), ("", command.about)]
    fields += [(argument.name, argument.about) for argument in command.arguments]
    fields += [(f"{option.flag} {option.metavar}".strip(), option.about) for option in command.options]
    fields += [("also called", ", ".join(command.other_names))] if command.other_names else []
    fields += [("example", command.example)]
    data = {"name": command.name, "usage": command.usage, "about": command.about, "example": command.example}
    return Record(tuple(fields), data)


def _about_task(signature: Signature) -> Record:
    fields = [("usage", usage(signature)), ("", signature.about)]
    fields += [(p.name, p.annotation) for p in signature.parameters if p.annotation]
    data = {"name": signature.name, "usage": usage(signature), "about": signature.about}
    return Record(tuple(fields), data)


def _short_usage(command: Command) -> str:
    return command.usage.split(" [--")[0]


def page(commands: tuple[Command, ...]) -> str:
    """The reference of the commands, in Markdown."""
    lines = ["| Command | What it does | Example |", "| --- | --- | --- |"]
    lines += [f"| `{_short_usage(c)}` | {c.about} | `{c.example}` |" for c in commands]
    for command in commands:
        lines += ["", f"### {command.name}", "", f"`{command.usage}`", "", f"{_sentence(command.about)}", ""]
        lines += [f"- `{argument.name}`: {argument.about}" for argument in command.arguments]
        lines += [f"- `{f'{option.flag} {option.metavar}'.strip()}`: {option.about}" for option in command.options]
        lines += [f"- also called: {', '.join(command.other_names)}"] if command.other_names else []
    return "\n".join(lines) + "\n"


def rewritten(text: str, commands: tuple[Command, ...]) -> str:
    """The page with its generated part made anew. ValueError when the markers are missing."""
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    if not rest or END not in rest:
        raise ValueError("the page has lost its markers")
    return f"{before}{BEGIN}\n{page(commands)}\n{END}{after}"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def main() -> None:
    from shell.commands import COMMANDS  # noqa: PLC0415 - the table names a function of this module

    PAGE.write_text(rewritten(PAGE.read_text(encoding="utf-8"), COMMANDS), encoding="utf-8")


if __name__ == "__main__":
    main()
