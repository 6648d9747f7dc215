"""Phone numbers that people wrote when they asked to be contacted."""

import phonenumbers


def number_of_person(address: str, country: str | None) -> str | None:
    """The number that a person wrote, in international form; None for none that a message can be sent to.

    Args:
        address: as it was written, such as `070-174 06 05`.
        country: of the delivery: a number without its country's code is one of there.
    """
    try:
        parsed = phonenumbers.parse(address, country)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(parsed):
        return None
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
