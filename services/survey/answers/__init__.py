"""Answers kept: merged by field, one revision a change, told in the same statement."""
