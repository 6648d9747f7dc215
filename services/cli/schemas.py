"""`kvittera schemas write | check`."""

import typer


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, help="The generated contract files: JSON Schemas, AsyncAPI and OpenAPI.")
    group.command()(write)
    group.command()(check)
    app.add_typer(group, name="schemas", rich_help_panel="Contract")


def write() -> None:
    """Write schemas/json, asyncapi.yaml and openapi.yaml again from the models, topic cards and HTTP routes."""
    from schemas import generate
    from services.survey.api import document

    generate.write()
    document.write()
    print("schemas/json, schemas/asyncapi.yaml and schemas/openapi.yaml are up to date")


def check() -> None:
    """Exit 1 and name the files that are stale."""
    from schemas import generate
    from services.survey.api import document

    stale = generate.stale() + ([document.FILE] if document.stale() else [])
    for name in stale:
        print(f"stale: {name}")
    if stale:
        print("run `make schemas`")
        raise typer.Exit(1)
    print("the generated contract files are up to date")
