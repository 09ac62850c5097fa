"""What mails say: one catalogue, rendered as plain text and as HTML."""

from __future__ import annotations

import html
import re
import string
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

from platform_svc.notifications.errors import UnknownTemplate, WrongParameters

SIGNATURE = "Reelmesh"
PLACEHOLDER = re.compile(r"\$\{?([a-z_]+)\}?")
CONTROL = frozenset({"Cc", "Cs", "Zl", "Zp"})


@dataclass(frozen=True, slots=True)
class Template:
    """A subject and paragraphs with `$placeholders`; its parameters are the placeholders."""

    subject: str
    paragraphs: tuple[str, ...]

    @property
    def parameters(self) -> frozenset[str]:
        """The names of all parameters."""
        return frozenset(PLACEHOLDER.findall("\n".join((self.subject, *self.paragraphs))))


@dataclass(frozen=True, slots=True)
class Content:
    """A rendered mail."""

    subject: str
    text: str
    html: str


TEMPLATES: Mapping[str, Template] = {
    "verify-email": Template(
        "Confirm your email address",
        (
            "Hello $display_name,",
            "please confirm that this address is yours. Your code, good for $minutes minutes:",
            "$code",
            "If you did not sign up, ignore this mail.",
        ),
    ),
    "reset-password": Template(
        "Reset your password",
        (
            "Hello $display_name,",
            "somebody asked to reset your password. Your code, good once and for $minutes minutes:",
            "$code",
            "If it was not you, ignore this mail: your password stays as it is.",
        ),
    ),
    "password-changed": Template(
        "Your password was changed",
        (
            "Hello $display_name,",
            "the password of your account was changed and your other sessions were ended.",
            "If it was not you, reset your password now.",
        ),
    ),
    "two-step-enabled": Template(
        "Two-step sign-in is on",
        (
            "Hello $display_name,",
            "signing in to your account needs a code of your authenticator from now on.",
            "If it was not you, reset your password now.",
        ),
    ),
    "two-step-disabled": Template(
        "Two-step sign-in is off",
        (
            "Hello $display_name,",
            "signing in to your account needs your password only from now on.",
            "If it was not you, reset your password now.",
        ),
    ),
    "account-deleted": Template(
        "Your account was deleted",
        ("Hello $display_name,", "your account and its sign-in data were deleted. Farewell."),
    ),
    "organization-invitation": Template(
        "$inviter_name invites you to $organization_name",
        (
            "Hello,",
            "$inviter_name invites you to join $organization_name as $role.",
            "Your code, good for $days days:",
            "$code",
            "If you do not know them, ignore this mail.",
        ),
    ),
}


def check_parameters(name: str, parameters: Mapping[str, str]) -> None:
    """Check that a template can be rendered.

    Raises:
        UnknownTemplate: there is none of this name.
        WrongParameters: some are missing, unexpected, or more than a line of text.
    """
    template = TEMPLATES.get(name)
    if template is None:
        raise UnknownTemplate(name)
    given = parameters.keys()
    missing, unexpected = template.parameters - given, given - template.parameters
    unprintable = {key for key, value in parameters.items() if not _is_one_line(value)}
    if missing or unexpected or unprintable:
        raise WrongParameters(missing=missing, unexpected=unexpected, unprintable=unprintable)


def render(name: str, parameters: Mapping[str, str]) -> Content:
    """Fill a template in; its parameters were checked before."""
    template = TEMPLATES[name]
    paragraphs = [*template.paragraphs, SIGNATURE]
    escaped = {key: html.escape(value) for key, value in parameters.items()}
    return Content(
        subject=_filled(template.subject, parameters),
        text="\n\n".join(_filled(paragraph, parameters) for paragraph in paragraphs) + "\n",
        html="".join(f"<p>{_filled(paragraph, escaped)}</p>\n" for paragraph in paragraphs),
    )


def _filled(text: str, parameters: Mapping[str, str]) -> str:
    return string.Template(text).substitute(parameters)


def _is_one_line(text: str) -> bool:
    return not any(unicodedata.category(character) in CONTROL for character in text)
