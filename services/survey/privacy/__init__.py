"""Contact views, erasure and retention."""
