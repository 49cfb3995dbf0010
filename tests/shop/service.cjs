// What the Node services of the shop share: the stock SDK with its HTTP instrumentation, and the way to end.
'use strict';

const { NodeTracerProvider, BatchSpanProcessor } = require('@opentelemetry/sdk-trace-node');
const { defaultResource, resourceFromAttributes } = require('@opentelemetry/resources');
const { registerInstrumentations } = require('@opentelemetry/instrumentation');
const { HttpInstrumentation } = require('@opentelemetry/instrumentation-http');

// Starts a service that sends its spans through an exporter. `handle` takes request, whole body and answer.
exports.serve = (name, exporter, handle) => {
  const provider = new NodeTracerProvider({
    resource: defaultResource().merge(resourceFromAttributes({ 'service.name': name, 'service.namespace': 'shop' })),
    spanProcessors: [new BatchSpanProcessor(exporter, { scheduledDelayMillis: 100 })],
  });
  provider.register();
  // What the exporter itself sends is not traced.
  const ignoreOutgoingRequestHook = (request) => request.path === '/v1/traces';
  registerInstrumentations({ instrumentations: [new HttpInstrumentation({ ignoreOutgoingRequestHook })] });

  // Loaded behind the instrumentation, which wraps it.
  const http = require('http');
  const server = http.createServer((request, answer) => {
    const pieces = [];
    request.on('data', (piece) => pieces.push(piece));
    request.on('end', () => handle(http, request, Buffer.concat(pieces), answer));
  });
  server.listen(0, '127.0.0.1', () => console.log(server.address().port));
  process.stdin.resume();
  process.stdin.on('end', async () => {
    await provider.shutdown();
    process.exit(0);
  });
};
