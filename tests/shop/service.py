"""What the Python services of the shop share: a stock tracer, an HTTP server that continues traces, and the way to end."""

import json
import sys
import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry import propagate, trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode

_provider = None


def tracer(name, exporter):
    """The tracer of a service that sends its spans through an exporter."""
    global _provider
    _provider = TracerProvider(resource=Resource.create({"service.name": name, "service.namespace": "shop"}))
    _provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=100))
    trace.set_tracer_provider(_provider)
    return trace.get_tracer("shop", "1.0")


def call(tracer, url, body):
    """POSTs within a client span; the status of the answer."""
    path = "/" + url.split("/", 3)[3]
    with tracer.start_as_current_span(f"POST {path}", kind=SpanKind.CLIENT, attributes={"url.full": url}) as span:
        status = post(url, body)
        span.set_attribute("http.response.status_code", status)
        if status >= 400:
            span.set_status(Status(StatusCode.ERROR))
        return status


def post(url, body):
    """POSTs with the context of the current span in its headers; the status of the answer."""
    headers = {"content-type": "application/json"}
    propagate.inject(headers)
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def serve(handle):
    """Serves until stdin ends, then sends the spans that are left. `handle` takes context and body of a request, and
    gives the status of its answer."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status = handle(propagate.extract(headers), body)
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_port, flush=True)
    sys.stdin.read()
    server.shutdown()
    _provider.shutdown()
