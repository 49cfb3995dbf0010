// Storefront: what people ask. Hands orders on, and answers with the id of the trace.
'use strict';

const { trace } = require('@opentelemetry/api');
const { OTLPTraceExporter } = require('@opentelemetry/exporter-trace-otlp-proto');
const { serve } = require('./service.cjs');

const [, , , otlpHttp, orders] = process.argv;

serve('storefront', new OTLPTraceExporter({ url: `${otlpHttp}/v1/traces` }), (http, request, body, answer) => {
  const { traceId } = trace.getActiveSpan().spanContext();
  if (request.url !== '/buy') {
    answer.writeHead(500).end(traceId);
    return;
  }
  const onward = http.request(`${orders}/orders`, { method: 'POST' }, (reply) => {
    reply.resume();
    reply.on('end', () => answer.writeHead(reply.statusCode).end(traceId));
  });
  onward.setHeader('content-length', body.length);
  onward.end(body);
});
