// Payments: charges; every fifth card is refused, and one of seven takes long.
'use strict';

const { OTLPTraceExporter } = require('@opentelemetry/exporter-trace-otlp-grpc');
const { serve } = require('./service.cjs');

const [, , otlpGrpc] = process.argv;

serve('payments', new OTLPTraceExporter({ url: otlpGrpc }), (_http, _request, body, answer) => {
  const { number } = JSON.parse(body);
  const charged = () => answer.writeHead(number % 5 === 0 ? 500 : 200).end();
  setTimeout(charged, number % 7 === 3 ? 150 : 0);
});
