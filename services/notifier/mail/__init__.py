"""The mail's HTML: written in MJML, compiled once when it changes, so that a running service needs no compiler."""
