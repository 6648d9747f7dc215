"""The public quality page, month by month (D14): closed months only, nothing of fewer than fifty answers."""
