"""Comparing pictures of pages by their layout: letters are left out, and small shifts do not count.

Letters are painted transparent before a picture is taken, but their widths still decide where lines break. So pictures
are compared only where the font Inter is, with which they were drawn; elsewhere the tests are skipped. Pictures are
shrunk sixfold, and a spot differs only if nothing near its colour is within one spot around it.
"""

import io
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.async_api import Page

FOLDER = Path(__file__).parent / "browser" / "pictures"
MOST = 0.001
"""The share of spots that may differ: 36 of a wide screen. The same page drawn twice differs in one or none."""
WITHOUT_LETTERS = """
*, ::before, ::after { -webkit-text-fill-color: transparent !important; text-decoration: none !important;
  caret-color: transparent !important; }
svg text, svg tspan { fill: transparent !important; }
"""
_SHRUNK = 6
_NEAR = 20
Spots = NDArray[np.int16]


def has_inter() -> bool:
    """Whether the font is installed that the pictures were drawn with."""
    fonts = shutil.which("fc-list")
    return fonts is not None and "Inter" in subprocess.run([fonts], capture_output=True, text=True, check=False).stdout


async def restyle(page: Page, css: str) -> None:
    """Add rules to a page; unlike a style element this is not refused by the page's policy."""
    await page.evaluate(
        "(css) => { const sheet = new CSSStyleSheet(); sheet.replaceSync(css);"
        " document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet]; }",
        css,
    )


async def picture_of(page: Page) -> Image.Image:
    """The whole page, shrunk, without letters."""
    await restyle(page, WITHOUT_LETTERS)
    shot = Image.open(io.BytesIO(await page.screenshot(animations="disabled", full_page=True))).convert("RGB")
    return shot.resize((shot.width // _SHRUNK, shot.height // _SHRUNK), Image.Resampling.BOX)


def difference(one: Image.Image, other: Image.Image) -> float:
    """The share of spots of either picture whose colour is nowhere near in the other; 1 where the sizes differ."""
    if one.size != other.size:
        return 1.0
    a, b = (np.asarray(p, np.int16) for p in (one, other))
    return max(_unlike(a, b), _unlike(b, a))


def _unlike(spots: Spots, other: Spots) -> float:
    height, width, _ = spots.shape
    padded = np.pad(other, ((1, 1), (1, 1), (0, 0)), mode="edge")
    around = [padded[y : y + height, x : x + width] for y in range(3) for x in range(3)]
    nearest = np.min([np.abs(spots - near).max(axis=2) for near in around], axis=0)
    return float((nearest > _NEAR).mean())


def kept(name: str, found: Image.Image) -> Image.Image:
    """The picture that is checked in; with KEEP_PICTURES set, the one found is kept instead."""
    if os.environ.get("KEEP_PICTURES"):
        FOLDER.mkdir(exist_ok=True)
        found.save(FOLDER / f"{name}.png", optimize=True)
    return checked_in(name)


def checked_in(name: str) -> Image.Image:
    """The picture of a page; its test is skipped while none is checked in."""
    file = FOLDER / f"{name}.png"
    if not file.exists():
        pytest.skip(f"no picture {name} is checked in: make likenesses draws it")
    return Image.open(file).convert("RGB")
