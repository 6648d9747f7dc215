"""Pages in a real browser. A package, so that its demo and its browser end before the next tests begin."""
