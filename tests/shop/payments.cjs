// Payments: charges; every fifth card is refused.
'use strict';

const { OTLPTraceExporter } = require('@opentelemetry/exporter-trace-otlp-grpc');
const { serve } = require('./service.cjs');

const [, , otlpGrpc] = process.argv;

serve('payments', new OTLPTraceExporter({ url: otlpGrpc }), (_http, _request, body, answer) => {
  const { number } = JSON.parse(body);
  answer.writeHead(number % 5 === 0 ? 500 : 200).end();
});
