"""What is wrong with a file or a record, in one line for people."""

from pydantic import ValidationError


def wrong_fields(error: ValidationError) -> str:
    """Each wrong field and the rule that it breaks; never what was given, which may be a key or an address."""
    told = error.errors(include_url=False, include_input=False, include_context=False)
    return "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in told)
