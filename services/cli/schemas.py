"""`kvittera schemas write | check`."""

import typer


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, help="The generated contract files: JSON Schemas and AsyncAPI.")
    group.command()(write)
    group.command()(check)
    app.add_typer(group, name="schemas", rich_help_panel="Contract")


def write() -> None:
    """Write schemas/json and schemas/asyncapi.yaml again from the models and topic cards."""
    from schemas import generate

    generate.write()
    print("schemas/json and schemas/asyncapi.yaml are up to date")


def check() -> None:
    """Exit 1 and name the files that are stale."""
    from schemas import generate

    stale = generate.stale()
    for name in stale:
        print(f"stale: {name}")
    if stale:
        print("run `make schemas`")
        raise typer.Exit(1)
    print("the generated contract files are up to date")
