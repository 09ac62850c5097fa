"""gRPC surface of invoices: messages to values, one use case, values to messages."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass, field
from typing import Any, Final

import grpc
from google.api.httpbody_pb2 import HttpBody
from reelmesh.platform.billing.v1 import invoices_service_pb2 as pb
from reelmesh.platform.billing.v1 import invoices_service_pb2_grpc as pb_grpc

from meshkit.ids import parse_id
from platform_svc.billing.commands import SubscriptionCommands
from platform_svc.billing.documents import InvoiceDocuments
from platform_svc.billing.invoice import Invoice
from platform_svc.billing.messages import invoice_message
from platform_svc.billing.queries import BillingQueries

# The page runs nothing and loads nothing.
PAGE_HEADERS: Final = (
    ("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'"),
)

Context = grpc.aio.ServicerContext[Any, Any]


@dataclass(frozen=True)
class InvoicesServicer(pb_grpc.InvoicesServiceServicer):
    """Serves InvoicesService; makes one document at a time, beside the event loop."""

    commands: SubscriptionCommands
    queries: BillingQueries
    documents: InvoiceDocuments
    drawing: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def ListInvoices(
        self, request: pb.ListInvoicesRequest, context: Context
    ) -> pb.ListInvoicesResponse:
        """Give one page of an organization's invoices."""
        page, token = await self.queries.invoices(
            _org_id(request.org_id), page_size=request.page_size, page_token=request.page_token
        )
        return pb.ListInvoicesResponse(invoices=map(invoice_message, page), next_page_token=token)

    async def GetInvoice(self, request: pb.GetInvoiceRequest, context: Context) -> pb.Invoice:
        """Give one invoice."""
        return invoice_message(await self._invoice(request))

    async def GetInvoicePage(self, request: pb.GetInvoicePageRequest, context: Context) -> HttpBody:
        """Give one invoice as HTML."""
        page = self.documents.page(await self._invoice(request))
        await context.send_initial_metadata(PAGE_HEADERS)
        return HttpBody(content_type="text/html; charset=utf-8", data=page.encode())

    async def GetInvoiceDocument(
        self, request: pb.GetInvoiceDocumentRequest, context: Context
    ) -> HttpBody:
        """Give one invoice as a PDF."""
        invoice = await self._invoice(request)
        async with self.drawing:
            document = await asyncio.to_thread(self.documents.pdf, invoice)
        name = f'attachment; filename="{invoice.number}.pdf"'
        await context.send_initial_metadata((("content-disposition", name),))
        return HttpBody(content_type="application/pdf", data=document)

    async def MarkInvoicePaid(
        self, request: pb.MarkInvoicePaidRequest, context: Context
    ) -> pb.Invoice:
        """Record that an invoice was paid."""
        return invoice_message(await self.commands.mark_paid(_invoice_id(request.invoice_id)))

    async def _invoice(
        self,
        request: pb.GetInvoiceRequest | pb.GetInvoicePageRequest | pb.GetInvoiceDocumentRequest,
    ) -> Invoice:
        return await self.queries.invoice(_org_id(request.org_id), _invoice_id(request.invoice_id))


def _org_id(text: str) -> uuid.UUID:
    return parse_id("org", text, field="org_id")


def _invoice_id(text: str) -> uuid.UUID:
    return parse_id("bil", text, field="invoice_id")
