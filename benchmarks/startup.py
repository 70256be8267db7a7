"""How long Python takes to import the package, and the command to say what it offers; a process each, from start to end."""

from __future__ import annotations

import sys

from measure import Claim, arguments, compare_in_processes
from reporting import report

NOTHING = [sys.executable, "-c", "pass"]
IMPORT = [sys.executable, "-c", "import resdet"]
HELP = [sys.executable, "-m", "resdet", "--help"]


def main() -> None:
    args = arguments(__doc__).parse_args()
    repeats = 2 if args.quick else 3 * args.repeats  # each is short
    results = [
        compare_in_processes(
            Claim(f"{name}, from the start of Python to its end", bound),
            {name: command, "python -c pass": NOTHING},
            ours=name,
            peer=None,
            repeats=repeats,
            whole=True,
        )
        for name, command, bound in (("import resdet", IMPORT, 0.1), ("resdet --help", HELP, 0.3))
    ]
    report("Start", results, json_path=args.output, quick=args.quick)


if __name__ == "__main__":
    main()
