"""Which providers do we understand?"""

from collections.abc import Callable, Iterator

from aftersale.translation.foreign import Unreadable
from aftersale.translation.happening import Delivery, Part, Passed, Translated, told
from aftersale.translation.webhooks import (
    aftership,
    amazon_ses,
    brevo,
    easypost,
    mailersend,
    mailgun,
    mailjet,
    mailtrap,
    mandrill,
    postal,
    postmark,
    resend,
    sendgrid,
    shippo,
    shopify,
    sparkpost,
    stripe,
    twilio,
    unisender_go,
    woocommerce,
)

TRANSLATORS: dict[str, Callable[[Delivery], Iterator[Part]]] = {
    "shopify": shopify.translate,
    "woocommerce": woocommerce.translate,
    "stripe": stripe.translate,
    "aftership": aftership.translate,
    "easypost": easypost.translate,
    "shippo": shippo.translate,
    "amazon_ses": amazon_ses.translate,
    "brevo": brevo.translate,
    "mailersend": mailersend.translate,
    "mailgun": mailgun.translate,
    "mailjet": mailjet.translate,
    "mailtrap": mailtrap.translate,
    "mandrill": mandrill.translate,
    "postal": postal.translate,
    "postmark": postmark.translate,
    "resend": resend.translate,
    "sendgrid": sendgrid.translate,
    "sparkpost": sparkpost.translate,
    "unisender_go": unisender_go.translate,
    "twilio": twilio.translate,
}
"""Provider, as addresses name it → its translator."""


def translate(provider: str, delivery: Delivery) -> Translated:
    """What a request of that provider tells; whatever it holds, this returns."""
    try:
        parts = list(TRANSLATORS[provider](delivery))
    except Unreadable:
        parts = [Passed("unreadable")]
    return told(provider, delivery, parts)
