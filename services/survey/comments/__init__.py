"""Comments for staff: searched by words and facts, shown scrubbed."""
