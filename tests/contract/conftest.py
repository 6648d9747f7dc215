"""Property tests are judged by what they find, never by the clock of a busy machine."""

from hypothesis import settings

settings.register_profile("kvittera", deadline=None)
settings.load_profile("kvittera")
