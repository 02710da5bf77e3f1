// A picture by gRPC's own client for Node.js and our .proto: arguments are the server's address and the picture; the answer's labels as JSON on standard output.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const require = createRequire(new URL('../../../client/package.json', import.meta.url));
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

const [address, picture] = process.argv.slice(2);
const proto = fileURLToPath(new URL('../../../src/Inference/Backends/inference.proto', import.meta.url));
const { inference } = grpc.loadPackageDefinition(loader.loadSync(proto, { keepCase: true, longs: Number }));
const client = new inference.GRPCInferenceService(address, grpc.credentials.createInsecure());
const ask = (method, request) =>
  new Promise((resolve) => client[method](request, (error, answer) => resolve(error ? { code: error.code, details: error.details } : answer)));

const request = {
  model_name: 'grocery',
  inputs: [{ name: 'image', datatype: 'BYTES', shape: [1], contents: { bytes_contents: [readFileSync(picture)] } }],
  outputs: [{ name: 'probabilities', parameters: { classification: { int64_param: 3 } } }],
};
const { outputs } = await ask('ModelInfer', request);
const raw = await ask('ModelInfer', {
  ...request,
  inputs: [{ name: 'image', datatype: 'BYTES', shape: [1] }],
  raw_input_contents: [Buffer.concat([Buffer.from(Uint32Array.of(readFileSync(picture).length).buffer), readFileSync(picture)])],
  outputs: [{ name: 'probabilities' }],
});
console.log(JSON.stringify({
  ready: (await ask('ServerReady', {})).ready,
  labels: outputs[0].contents.bytes_contents.map((label) => label.toString()),
  first: raw.raw_output_contents[0].readFloatLE(0),
  unknown: await ask('ModelInfer', { model_name: 'x' }),
}));
client.close();
