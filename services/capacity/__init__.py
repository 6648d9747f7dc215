"""What a year of deliveries takes: arithmetic on what was measured (docs/scale.md)."""
