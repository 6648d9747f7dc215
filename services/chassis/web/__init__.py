"""Design tokens, the five faces and the page shell that all pages share."""

from services.chassis.web.faces import SCORES, face, faces_sprite, mark
from services.chassis.web.shell import (
    STAFF_PAGES,
    InlineAssets,
    csp_hash,
    faces_css,
    inline_assets,
    page_headers,
    page_templates,
    recipient_css,
    squeezed_css,
    staff_css,
    staff_nav,
    tokens_css,
    vendor_folder,
)
from services.chassis.web.staff_page import inline_style, staff_environment

__all__ = [
    "SCORES",
    "STAFF_PAGES",
    "InlineAssets",
    "csp_hash",
    "face",
    "faces_css",
    "faces_sprite",
    "inline_assets",
    "inline_style",
    "mark",
    "page_headers",
    "page_templates",
    "recipient_css",
    "squeezed_css",
    "staff_css",
    "staff_environment",
    "staff_nav",
    "tokens_css",
    "vendor_folder",
]
