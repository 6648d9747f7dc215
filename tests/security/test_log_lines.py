"""Row 15: nothing that comes from outside begins a line of its own in the log or moves the cursor."""

import json
import subprocess
import sys

import pytest

PROGRAM = """
import logging, sys, structlog
from services.chassis.logs import configure_logs
from services.chassis.settings import Settings
configure_logs(Settings(log_format=sys.argv[1]), "survey")
log = structlog.get_logger()
for text in ('\\n{"level":"error","event":"forged"}', "\\r\\x1b[2Jforged", "\\x00\\x07\\x9b2J\\u2028forged"):
    log.info("read", path=text, nested={"a": [text]})
    log.info(text)
    logging.getLogger("library").warning("asked %s", text)
"""


@pytest.mark.parametrize("form", ["json", "console"])
def test_what_strangers_write_stays_inside_its_line(form: str) -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM, form], capture_output=True, check=True)
    said = done.stderr.decode()
    lines = said.removesuffix("\n").split("\n")
    assert len(lines) == 9
    assert said.count("forged") >= 9
    assert not [c for c in ("\x1b[2J", "\x00", "\x07", "\r", "\x9b", "\u2028") if c in said]
    if form == "json":
        assert {json.loads(line)["level"] for line in lines} == {"info", "warning"}
