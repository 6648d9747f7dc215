"""The command line, one file for each group of commands. Heavy imports stay inside the commands."""

import typer

from services.cli import (
    audit,
    boards,
    bounces,
    capacity,
    cells,
    clients,
    containers,
    cuts,
    demo,
    digest,
    dlq,
    doctor,
    doubts,
    erase,
    figures,
    keys,
    load,
    messages,
    partners,
    policy,
    reconcile,
    replay,
    republish,
    retention,
    reviews,
    run,
    schemas,
    send,
    signout,
    status,
    topics,
    version,
    views,
)

app = typer.Typer(
    name="kvittera",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Ask people how their delivery went, and turn the answers into live numbers.\n\n"
    "**Start here:** `kvittera demo` runs everything on this machine and shows it on one page.\n\n"
    "**Production:** run `kvittera topics apply` and `kvittera migrate` once, then one or more processes of each"
    " service. All settings are environment variables that begin with `KVITTERA_`; docs/settings.md lists them.",
)
version.add_to(app)
demo.add_to(app)
containers.add_to(app)
run.add_to(app)
topics.add_to(app)
cells.add_to(app)
cuts.add_to(app)
figures.add_to(app)
digest.add_to(app)
audit.add_to(app)
replay.add_to(app)
reconcile.add_to(app)
send.add_to(app)
doubts.add_to(app)
bounces.add_to(app)
doctor.add_to(app)
status.add_to(app)
load.add_to(app)
capacity.add_to(app)
views.add_to(app)
signout.add_to(app)
policy.add_to(app)
messages.add_to(app)
dlq.add_to(app)
clients.add_to(app)
partners.add_to(app)
republish.add_to(app)
erase.add_to(app)
keys.add_to(app)
retention.add_to(app)
reviews.add_to(app)
boards.add_to(app)
schemas.add_to(app)
