"""The `kvittera` command: every way to run, look at and repair the system."""

import sys


def main() -> None:
    """Run the command; what stops it is said in one sentence, with exit code 2."""
    from services.chassis.failures import MustStop
    from services.cli import app

    try:
        app()
    except MustStop as stop:
        print(f"kvittera: {stop}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
