"""From MJML to HTML that mail programs show alike. A development dependency does the work; services never come here."""

from pathlib import Path

import mrml

SOURCE = Path(__file__).parent / "invitation.mjml"
"""The mail as a person edits it. What stands in double braces is filled for each message."""


def compiled(source: str) -> str:
    """The HTML of an MJML text.

    Raises:
        ValueError: it is not MJML, or holds what the compiler does not know.
    """
    # Without a list of fonts the compiler adds a link to a font server to the mail.
    try:
        output = mrml.to_html(source, render_options=mrml.RenderOptions(disable_comments=True, fonts={}))
    except OSError as error:
        raise ValueError(str(error)) from None
    if output.warnings:
        raise ValueError("; ".join(f"{w.kind} at {w.start}" for w in output.warnings))
    return output.content + "\n"
