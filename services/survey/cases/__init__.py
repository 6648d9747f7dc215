"""Follow-up cases: what answers call for, until a person has dealt with it."""
