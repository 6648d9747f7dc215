"""`make mail`: compile the mail's HTML from its MJML."""

from services.notifier.mail.compiling import SOURCE, compiled
from services.notifier.render import FRAME

FRAME.write_text(compiled(SOURCE.read_text(encoding="utf-8")), encoding="utf-8")
