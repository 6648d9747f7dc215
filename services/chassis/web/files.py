"""The files a staff page is served with: one style, our scripts and the chart library, ready in memory."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from services.chassis.web.shell import squeezed_css, staff_css, vendor_folder

_SCRIPTS: Final = Path(__file__).parent / "scripts"
_CHART: Final = "uPlot.iife.min.js"
_SCRIPT_TYPE: Final = "text/javascript; charset=utf-8"
_STYLE_TYPE: Final = "text/css; charset=utf-8"


@dataclass(frozen=True, slots=True)
class PageFile:
    """One file as it goes over the wire."""

    body: bytes
    content_type: str

    @property
    def etag(self) -> str:
        """A name for this content, so that a browser asks only whether it changed."""
        return f'"{hashlib.sha256(self.body).hexdigest()[:20]}"'


def page_files(folder: Path) -> Mapping[str, PageFile]:
    """Return the files of a staff page: `page.css` from shell, chart and `folder`, and every script by its name."""
    styles = [staff_css(), (vendor_folder() / "uPlot.min.css").read_text("utf-8")]
    styles += [file.read_text("utf-8") for file in sorted(folder.glob("*.css"))]
    files = {"page.css": PageFile(squeezed_css("\n".join(styles)).encode(), _STYLE_TYPE)}
    for script in (vendor_folder() / _CHART, *sorted(_SCRIPTS.glob("*.js")), *sorted(folder.glob("*.js"))):
        files[script.name] = PageFile(script.read_bytes(), _SCRIPT_TYPE)
    return files
