"""Statistics of few and many answers. Pure; docs/figures.md tells every formula, its source and an example."""

from services.aggregator.statistics.shares import Share, share_of, to_hide, wilson

__all__ = ["Share", "share_of", "to_hide", "wilson"]
