"""Explores every interleaving of the protocol within small bounds, and prints the shortest counterexample.

make model                                 every mode but the largest, with all rules: all must hold
make model MODEL_ARGS="MODE …"             these modes
make model MODEL_ARGS="--built [MODE …]"   with the rules that the code has today
make model MODEL_ARGS="--need [RULE …]"    without one rule each: a counterexample must appear
make model MODEL_ARGS="--strict"           nothing is forgiven: what the promise cannot cover
make model MODEL_ARGS="--long"             the largest modes, each up to --limit
make model MODEL_ARGS="--small"            the modes that take a second
"""

import argparse
import sys

from docs.model.explore import Explorer, Finding
from docs.model.modes import ALL, AS_BUILT, LONG, MODES, NEED, RULES, SMALL, STRICT, UNSHOWN
from docs.model.programs import Setup

EXIT_OK, EXIT_WRONG, EXIT_USAGE = 0, 1, 2
UNGUARDED = ("no-guard",)  # a counterexample is what they are for


def show(title: str, setup: Setup, rules: frozenset[str], limit: float) -> Finding:
    """Explores one mode and prints a line, and the trace of a counterexample."""
    finding = Explorer(setup, rules, limit).run()
    verdict = finding.violation or ("holds" if finding.complete else "not finished: nothing found so far")
    print(f"{title:42s} {finding.states:9,d} states {finding.seconds:7.1f} s  {verdict}", flush=True)
    for number, label in enumerate(finding.trace, 1):
        print(f"      {number:2d}. {label}")
    return finding


def main(arguments: list[str] | None = None) -> int:
    """The program. Returns 0 when everything is as it must be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="MODE or RULE")
    for flag in ("built", "need", "strict", "small", "long"):
        parser.add_argument(f"--{flag}", action="store_true")
    parser.add_argument("--limit", type=float, default=600.0, help="seconds for each mode")
    options = parser.parse_args(arguments)
    known: dict[str, object] = dict(NEED) if options.need else {**MODES, **STRICT}
    unknown = [name for name in options.names if name not in known]
    if unknown:
        print(f"model: there is no {unknown[0]}; expected one of: {', '.join(known)}", file=sys.stderr)
        return EXIT_USAGE
    if options.need:
        return _need(options.names or [name for name in NEED if name not in UNSHOWN], options.limit)
    return _modes(options)


def _need(names: list[str], limit: float) -> int:
    """Each rule is needed: without it, its mode breaks."""
    wrong = [
        name for name in names
        if not show(f"{NEED[name]} without {name}", MODES[NEED[name]], ALL - {name}, limit).violation
    ]  # fmt: skip
    for name in wrong:
        print(f"not shown to be needed: {name} ({RULES[name]})")
    return EXIT_WRONG if wrong else EXIT_OK


def _chosen(options: argparse.Namespace) -> list[str]:
    if options.names:
        return list(options.names)
    if options.strict:
        return list(STRICT)
    if options.small or options.long:
        return list(SMALL if options.small else LONG)
    return [name for name in MODES if name not in LONG]


def _modes(options: argparse.Namespace) -> int:
    """Each mode holds, but for those that show what a rule or a limit of the promise is for."""
    wrong = []
    for name in _chosen(options):
        finding = show(name, {**MODES, **STRICT}[name], AS_BUILT if options.built else ALL, options.limit)
        expected = name in UNGUARDED or name in STRICT
        cut_off = not finding.complete and not options.long
        if bool(finding.violation) != expected or cut_off:
            wrong.append(name)
    if wrong and not options.built:
        print(f"not as they must be: {', '.join(wrong)}")
        return EXIT_WRONG
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
