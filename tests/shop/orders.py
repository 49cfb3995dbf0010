"""Orders: stores an order, has it charged and, when that went well, tells shipping through a queue."""

import sys

from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.trace import SpanKind, Status, StatusCode

import service

_, grpc, _, payments, shipping = sys.argv
tracer = service.tracer("orders", OTLPSpanExporter(endpoint=grpc, insecure=True))


def handle(context, order):
    with tracer.start_as_current_span("POST /orders", context=context, kind=SpanKind.SERVER) as span:
        span.set_attribute("order.number", order["number"])
        insert = {
            "db.system.name": "postgresql",
            "db.namespace": "shop",
            "db.query.text": "INSERT INTO orders VALUES ($1)",
            "server.address": "orders-db",
        }
        with tracer.start_as_current_span("INSERT orders", kind=SpanKind.CLIENT, attributes=insert):
            pass
        if service.call(tracer, f"{payments}/charge", order) >= 400:
            span.set_status(Status(StatusCode.ERROR, "payment refused"))
            return 502
        publish = {"messaging.system": "queue", "messaging.destination.name": "shipments"}
        with tracer.start_as_current_span("publish shipments", kind=SpanKind.PRODUCER, attributes=publish):
            # The queue carries the context of the producer beside the message, as a broker's headers do.
            service.post(f"{shipping}/shipments", order)
        return 200


service.serve(handle)
