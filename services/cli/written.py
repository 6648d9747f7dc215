"""Files that a command writes what it tells to, where its caller names one."""

from pathlib import Path

import typer


def place(file: Path | None) -> Path | None:
    """Find before the work whether there is a place for a file; a callback of its option.

    Raises:
        BadParameter: there is none.
    """
    try:
        if file is not None and file.is_dir():
            raise typer.BadParameter(f"{file} is a folder")
        if file is not None and not file.parent.is_dir():
            raise typer.BadParameter(f"there is no folder {file.parent}")
    except OSError as error:
        raise typer.BadParameter(str(error.strerror)) from None
    return file


def write(file: Path, text: str) -> None:
    """Write the whole file.

    Raises:
        MustStop: it cannot be written.
    """
    from services.chassis.failures import MustStop

    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise MustStop(f"{file} cannot be written: {error.strerror}") from None
