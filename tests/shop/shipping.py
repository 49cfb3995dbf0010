"""Shipping: takes messages, and asks a carrier that sends no spans."""

import sys

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.trace import SpanKind

import service

_, _, http = sys.argv
tracer = service.tracer("shipping", OTLPSpanExporter(endpoint=f"{http}/v1/traces"))


def handle(context, order):
    process = {"messaging.system": "queue", "messaging.destination.name": "shipments"}
    with tracer.start_as_current_span("process shipments", context=context, kind=SpanKind.CONSUMER, attributes=process) as span:
        span.add_event("label printed", {"order.number": order["number"]})
        with tracer.start_as_current_span("book", kind=SpanKind.CLIENT, attributes={"peer.service": "carrier"}):
            pass
    return 200


service.serve(handle)
