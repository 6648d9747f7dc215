"""The aggregator's counting beside programs that others would write for it; README.md says how and what is unfair."""
