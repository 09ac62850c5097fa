"""Signatures are those of the Standard Webhooks specification."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

from platform_svc.notifications.signing import SECRET_BYTES, headers_of, secret_text

# The example of the specification's own libraries.
SECRET = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
AT = datetime.fromtimestamp(1614265330, UTC)
BODY = b'{"test": 2432232314}'


def test_the_published_example_is_signed_as_published() -> None:
    assert headers_of(ID, BODY, [SECRET], now=AT) == {
        "webhook-id": ID,
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_each_secret_signs_and_the_newest_is_first() -> None:
    other = bytes(range(SECRET_BYTES))
    both = headers_of(ID, BODY, [other, SECRET], now=AT)["webhook-signature"]
    one = headers_of(ID, BODY, [SECRET], now=AT)["webhook-signature"]
    assert both.split(" ")[1] == one
    assert both.split(" ")[0] != one


def test_a_secret_is_told_with_its_prefix() -> None:
    assert secret_text(SECRET) == "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
