"""Invoices to read and to keep: a page of HTML, and a PDF whose bytes never vary."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.lib.units import mm
from reportlab.platypus import Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

from meshkit.ids import format_id
from platform_svc.billing.invoice import Invoice

TEMPLATE: Final = "invoice.html"
CENTS: Final = 100
WIDTHS: Final = (130 * mm, 40 * mm)
STYLE: Final = TableStyle(
    [
        ("FONTNAME", (0, 0), (-1, 0), "Helvetica-Bold"),
        ("FONTNAME", (0, -1), (-1, -1), "Helvetica-Bold"),
        ("ALIGN", (1, 0), (1, -1), "RIGHT"),
        ("LINEBELOW", (0, 0), (-1, 0), 0.5, colors.black),
        ("LINEABOVE", (0, -1), (-1, -1), 0.5, colors.black),
    ]
)


@dataclass(frozen=True)
class InvoiceDocuments:
    """Shows invoices as from the seller, with how to pay those that are open."""

    seller: str
    payment_details: str

    def page(self, invoice: Invoice) -> str:
        """Return an invoice as HTML; all that it says is escaped."""
        return _templates().get_template(TEMPLATE).render(self._facts(invoice))

    def pdf(self, invoice: Invoice) -> bytes:
        """Return an invoice as a PDF of one page or more; takes some milliseconds of a core."""
        facts = self._facts(invoice)
        styles = getSampleStyleSheet()
        heading, body = styles["Title"], styles["BodyText"]
        rows = [["Description", "Amount"], *facts["lines"], ["Total", facts["total"]]]
        cells = [[Paragraph(_plain(row[0]), body), row[1]] for row in rows[1:-1]]
        story: list[Any] = [Paragraph(_plain(f"{self.seller}: invoice {invoice.number}"), heading)]
        story += [Paragraph(f"{name}: {_plain(value)}", body) for name, value in facts["about"]]
        story += [Spacer(1, 8 * mm), Table([rows[0], *cells, rows[-1]], WIDTHS, style=STYLE)]
        if facts["payment_details"]:
            story += [Spacer(1, 8 * mm), Paragraph(_plain(facts["payment_details"]), body)]
        target = io.BytesIO()
        # "invariant" leaves out the time of making and random ids.
        SimpleDocTemplate(
            target, pagesize=A4, title=invoice.number, author=self.seller, invariant=1
        ).build(story)
        return target.getvalue()

    def _facts(self, invoice: Invoice) -> dict[str, Any]:
        is_open = invoice.state.value == "open"
        return {
            "seller": self.seller,
            "number": invoice.number,
            "about": _about(invoice),
            "lines": [
                [line.description, money(line.amount_cents, invoice.currency)]
                for line in invoice.lines
            ],
            "total": money(invoice.total_cents, invoice.currency),
            "payment_details": self.payment_details if is_open else "",
        }


def money(cents: int, currency: str) -> str:
    """Return an amount for people, such as "USD 12.00"."""
    sign = "-" if cents < 0 else ""
    whole, rest = divmod(abs(cents), CENTS)
    return f"{currency.upper()} {sign}{whole:,}.{rest:02d}"


def _about(invoice: Invoice) -> list[tuple[str, str]]:
    facts = [
        ("Customer", format_id("org", invoice.org_id)),
        ("Issued", f"{invoice.issued_at:%Y-%m-%d}"),
        ("State", invoice.state.value),
    ]
    if invoice.due_at is not None and invoice.paid_at is None:
        facts.append(("Due", f"{invoice.due_at:%Y-%m-%d}"))
    if invoice.paid_at is not None:
        facts.append(("Paid", f"{invoice.paid_at:%Y-%m-%d}"))
    return facts


def _templates() -> Environment:
    loader = PackageLoader("platform_svc.billing", "templates")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined)


def _plain(text: str) -> str:
    """Return text without what a paragraph would take for markup."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
