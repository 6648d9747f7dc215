"""The survey service's API for programs: apps, kiosks and gateways."""
