"""Invoices as HTML and PDF, as a customer gets them."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser

import pytest
from reelmesh.platform.billing.v1 import invoices_service_pb2 as pb

from meshkit.errors import InvalidPageToken
from meshkit.testing.clock import START
from platform_svc.billing.documents import InvoiceDocuments, money
from platform_svc.billing.invoice import Invoice, InvoiceState, Line, Reason
from tests.platform_svc.refusals import refusal_of

from .factories import CREATOR, ORG
from .harness import ORG as ORG_ID

DOCUMENTS = InvoiceDocuments("Acme <Films>", "Pay & enjoy")


class Words(HTMLParser):
    """What a reader of a page sees, and the elements that it is made of."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text, self.elements = "", set()
        self.feed(page)

    def handle_starttag(self, tag, attrs) -> None:
        self.elements.add(tag)

    def handle_data(self, data) -> None:
        self.text += data


def invoice(**changes) -> Invoice:
    fields = {
        "id": ORG,
        "number": "RM-2026-000007",
        "org_id": ORG,
        "subscription_id": ORG,
        "reason": Reason.START,
        "offer": CREATOR,
        "currency": "usd",
        "lines": (Line("Studio & <script>alert(1)</script>", 4800), Line("Creator, unused", -600)),
        "provider": "manual",
        "issued_at": START,
    }
    return Invoice(**(fields | changes))


def test_a_page_says_all_and_runs_nothing() -> None:
    page = Words(DOCUMENTS.page(invoice()))
    for said in ("Acme <Films>", "RM-2026-000007", "USD 48.00", "USD -6.00", "USD 42.00"):
        assert said in page.text, said
    assert "<script>alert(1)</script>" in page.text
    assert "script" not in page.elements
    assert "Pay & enjoy" in page.text
    paid = replace(invoice(), state=InvoiceState.PAID, paid_at=START)
    assert "Pay & enjoy" not in Words(DOCUMENTS.page(paid)).text


def test_a_document_is_a_pdf_and_the_same_each_time() -> None:
    first, second = DOCUMENTS.pdf(invoice()), DOCUMENTS.pdf(invoice())
    assert first == second
    assert first.startswith(b"%PDF-")
    assert first.rstrip().endswith(b"%%EOF")
    assert b"RM-2026-000007" in first
    assert first != DOCUMENTS.pdf(replace(invoice(), number="RM-2026-000008"))


def test_a_long_invoice_goes_on_over_pages() -> None:
    many = tuple(Line(f"Line {n}", 1) for n in range(200))
    assert DOCUMENTS.pdf(replace(invoice(), lines=many)).count(b"/Type /Page\n") > 3


@pytest.mark.parametrize(
    ("cents", "text"), [(0, "EUR 0.00"), (5, "EUR 0.05"), (-123_456_789, "EUR -1,234,567.89")]
)
def test_money_is_exact(cents, text) -> None:
    assert money(cents, "eur") == text


async def test_a_customer_reads_and_keeps_an_invoice(installation) -> None:
    wanted = await installation.change("creator")
    named = {"org_id": ORG_ID, "invoice_id": wanted.pending.invoice_id}
    page = await installation.invoices.GetInvoicePage(pb.GetInvoicePageRequest(**named))
    assert page.content_type == "text/html; charset=utf-8"
    words = Words(page.data.decode())
    assert "IBAN XX00 & so on" in words.text
    assert "USD 12.00" in words.text
    call = installation.invoices.GetInvoiceDocument(pb.GetInvoiceDocumentRequest(**named))
    document = await call
    assert (document.content_type, document.data[:5]) == ("application/pdf", b"%PDF-")
    headers = dict(await call.initial_metadata())
    assert headers["content-disposition"] == 'attachment; filename="RM-2026-000001.pdf"'


async def test_invoices_come_in_pages(installation) -> None:
    for plan in ("creator", "studio", "creator", "studio", "creator"):
        await installation.change(plan)
        installation.clock.advance(seconds=60)
    numbers, token = [], ""
    for size in (2, 2, 2):
        request = pb.ListInvoicesRequest(org_id=ORG_ID, page_size=size, page_token=token)
        page = await installation.invoices.ListInvoices(request)
        numbers += [one.number for one in page.invoices]
        token = page.next_page_token
    assert numbers == [f"RM-2026-{n:06d}" for n in (5, 4, 3, 2, 1)]
    assert token == ""
    wrong = pb.ListInvoicesRequest(org_id=ORG_ID, page_token="x")
    refusal = await refusal_of(installation.invoices.ListInvoices(wrong))
    assert refusal.reason == InvalidPageToken.reason
