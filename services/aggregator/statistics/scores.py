"""Indices of scores: top boxes, customer effort, and the index of ACSI form. Pure."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from services.aggregator.statistics.shares import Share, share_of, wilson_many

TOP_BOXES: Mapping[int, int] = MappingProxyType({3: 3, 4: 3, 5: 4, 6: 5, 7: 6, 10: 8})
"""The lowest satisfied score for each length of scale. Source: Formbricks' table (D4)."""
_BOTTOM_BOXES: Mapping[int, int] = MappingProxyType({3: 1, 4: 2, 5: 2, 6: 2, 7: 2, 10: 3})
"""The highest dissatisfied score: as many as the satisfied ones. Ours."""
_EASY: Mapping[int, int] = MappingProxyType({5: 4, 7: 5})
"""The lowest score that counts as easy."""
EQUAL_WEIGHTS = (1 / 3, 1 / 3, 1 / 3)


def satisfied(bins: Sequence[int]) -> Share | None:
    """The share in the top boxes (CSAT), or None where nothing was counted; bins of scores 1..m.

    Raises:
        ValueError: no table of boxes tells of such a scale.
    """
    return share_of(sum(bins[_boxes(bins)[1] - 1 :]), sum(bins))


def dissatisfied(bins: Sequence[int]) -> Share | None:
    """The share in the bottom boxes: on five faces 1 and 2. Show it beside every top share (C21)."""
    return share_of(sum(bins[: _boxes(bins)[0]]), sum(bins))


def _boxes(bins: Sequence[int]) -> tuple[int, int]:
    if len(bins) not in TOP_BOXES:
        raise ValueError(f"no table of boxes tells of a scale of {len(bins)}")
    return _BOTTOM_BOXES[len(bins)], TOP_BOXES[len(bins)]


def shares_of_faces(bins: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Satisfied and dissatisfied shares with intervals of many cells of five faces at once, a row each."""
    n = bins.sum(axis=1)
    return wilson_many(bins[:, 3] + bins[:, 4], n), wilson_many(bins[:, 0] + bins[:, 1], n)


def ease(bins: Sequence[int]) -> tuple[float, Share]:
    """Customer effort of five or seven bins, 1 very hard: the mean, and the share that found it easy (4-5, 5-7; D4).

    Raises:
        ValueError: another scale, or nothing was counted.
    """
    share = share_of(sum(bins[_EASY[len(bins)] - 1 :]), sum(bins)) if len(bins) in _EASY else None
    if share is None:
        raise ValueError("effort is asked on a scale from 1 to 5 or 1 to 7")
    return sum(score * k for score, k in enumerate(bins, 1)) / share.n, share


def acsi_form_index(
    satisfaction: float, expectancy: float, ideal: float, weights: tuple[float, float, float] = EQUAL_WEIGHTS
) -> float:
    """An index of ACSI form, 0 to 100, of three means on 1 to 10; never call it SKI or ACSI.

    Source: `((X1-1)w1 + (X2-1)w2 + (X3-1)w3) / 9 * 100`, weights that sum to 1 (D4). The true weights come
    from a model that is not public.

    Raises:
        ValueError: the weights do not sum to 1.
    """
    if abs(sum(weights) - 1) > 1e-6:  # noqa: PLR2004  rounding
        raise ValueError("weights sum to 1")
    values = (satisfaction, expectancy, ideal)
    return sum((x - 1) * w for x, w in zip(values, weights, strict=True)) / 9 * 100
