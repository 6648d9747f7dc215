"""The `kvittera` command: every way to run, look at and repair the system."""

import gc
import logging
import sys

_OBJECTS_BETWEEN_LOOKS = 300_000
_FAULT_OF_OURS = 70
"""As other programs end with where they break; 1 is for a proof that found something."""


def main() -> None:
    """Run the command; what stops it is said in one sentence, with exit code 2; a fault of ours ends with 70."""
    # Imports make 150,000 to 250,000 objects and no garbage; looking for it every 50,000 is a tenth of a start's time.
    gc.set_threshold(_OBJECTS_BETWEEN_LOOKS)
    # A command says itself what became of Kafka, once; services write these lines to their own log.
    logging.getLogger("aiokafka").addHandler(logging.NullHandler())
    from services.cli import app

    try:
        app()
    except Exception as error:
        # Here, since it brings the drivers of both servers along, and most commands that only tell something need none.
        from services.chassis.failures import MustStop

        if not isinstance(error, MustStop):
            sys.excepthook(type(error), error, error.__traceback__)
            raise SystemExit(_FAULT_OF_OURS) from error
        print(f"kvittera: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
