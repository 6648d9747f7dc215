"""Public reviews: offered by policy and draw, before there is an answer."""
