"""The way in for staff, by a provider or the demo's accounts, and what their pages share: forms, cursors, refusals."""
