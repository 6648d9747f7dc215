"""The doctor's look at what operators wrote: settings with a form of their own, and the files that settings name."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from services.aggregator.counting.cuts import read_cuts
from services.aggregator.figures.alerts import watched_cuts
from services.aggregator.live.scope import zone_named
from services.aggregator.quality.notes import load_notes
from services.chassis.failures import MustStop
from services.chassis.settings import Settings
from services.doctor.findings import Finding
from services.notifier.policies import read_policies
from services.survey.cases.clock import WorkingHours
from services.survey.reviews.offer import read_policies as read_review_policies

_READ: Final[Mapping[str, Callable[[Settings], object]]] = MappingProxyType(
    {
        "KVITTERA_POLICIES_FOLDER": lambda s: read_policies(s.policies_folder),
        "KVITTERA_CASE_WORKING_HOURS": lambda s: WorkingHours.parse(s.case_working_hours),
        "KVITTERA_REVIEW_POLICY_FILE": lambda s: read_review_policies(s.review_policy_file),
        "KVITTERA_CUTS_FILE": lambda s: read_cuts(s.cuts_file),
        "KVITTERA_ALERT_CUTS": lambda s: watched_cuts(s.alert_cuts),
        "KVITTERA_PAGES_ZONE": lambda s: zone_named(s.pages_zone),
        "KVITTERA_QUALITY_NOTES_FILE": lambda s: load_notes(s.quality_notes_file),
    }
)


async def written(settings: Settings) -> list[Finding]:
    """A service would start with every setting, and read every file that one names."""
    found = []
    for setting, read in _READ.items():
        try:
            read(settings)
        except MustStop as stop:
            do = f"correct {setting}: no service that needs it starts"
            found.append(Finding("settings", "ill", str(stop), do))
    return found or [Finding("settings", "well", "every service can read them, and the files that they name")]
