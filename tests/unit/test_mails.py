"""A mail holds what was written, on lines that every server takes, and no link of anybody else."""

from email import message_from_bytes, policy
from email.message import EmailMessage

from hypothesis import given
from hypothesis import strategies as st

from schemas.delivery import ChannelKind
from services.notifier.channels import Message
from services.notifier.channels import mail as mails
from services.notifier.channels.mail import MailForm, written

FORM = MailForm("Nordposten Demo <svar@nordposten.example>", "Nordposten Demo", "mail")
lines = st.lists(st.text(alphabet="abcé .=-\t😀", max_size=100), min_size=1, max_size=6)


def message(text: str, html: str, link: str) -> Message:
    reference = "01a20320-a27b-7000-8000-000000000000"
    return Message(reference, 1, ChannelKind.EMAIL, "bo@mottagare.example", "sv", "Hur gick det?", text, html, link)


def parts(mail: bytes) -> tuple[str, str]:
    read = message_from_bytes(mail, policy=policy.default)
    assert isinstance(read, EmailMessage)
    text, html = (read.get_body((kind,)) for kind in ("plain", "html"))
    assert text is not None
    assert html is not None
    return text.get_content(), html.get_content()


@given(lines, lines)
def test_text_and_html_are_read_as_they_were_written(text: list[str], html: list[str]) -> None:
    mail = written(FORM, message("\n".join([*text, "x"]), "\n".join([*html, "x"]), "/r/none"), "bo@mottagare.example")
    assert [part.splitlines() for part in parts(mail)] == [[*text, "x"], [*html, "x"]]
    assert all(len(line) < 100 for line in mail.split(b"\r\n")[9:])
    assert b"\n" not in mail.replace(b"\r\n", b"")


def test_lines_that_mails_share_are_remembered_and_no_line_with_a_link_is() -> None:
    def mail_to(link: str) -> str:
        html = f"<p>all mails have this</p>\n<a href='{link}'>svara</a>\n<p>say this</p>"
        return parts(written(FORM, message(f"Svara: {link}", html, link), "bo@mottagare.example"))[1]

    first, remembered = mail_to("https://x.example/r/one"), mails._remembered_line.cache_info()
    second, after = mail_to("https://x.example/r/two"), mails._remembered_line.cache_info()
    assert ("/r/one" in first, "/r/one" in second, "/r/two" in second) == (True, False, True)
    assert (after.currsize, after.misses, after.hits - remembered.hits) == (
        remembered.currsize,
        remembered.misses,
        2,
    )
