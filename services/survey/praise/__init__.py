"""Praise: taken up by rule, passed on by staff, shown on a terminal's whiteboard without personal data."""
