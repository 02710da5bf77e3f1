// A peer for the benchmarks: the same model.onnx behind Node's own http, with sharp and ONNX Runtime's official binding, one worker per processor.
// Usage: node server.mjs <port> <model.onnx> <labels.txt> <size>
import cluster from 'node:cluster';
import { readFile } from 'node:fs/promises';
import http from 'node:http';
import { availableParallelism } from 'node:os';
import ort from 'onnxruntime-node';
import sharp from 'sharp';

const [port, modelFile, labelsFile, sizeText] = process.argv.slice(2);
const size = Number(sizeText);

if (cluster.isPrimary) {
  for (let worker = 0; worker < availableParallelism(); worker++) cluster.fork();
  cluster.on('exit', (_, code) => process.exit(code || 1));
} else {
  // One worker per processor: threads of their own, in sharp or in ONNX Runtime, would only compete.
  sharp.concurrency(1);
  sharp.cache(false);
  const labels = (await readFile(labelsFile, 'utf8')).trimEnd().split('\n').map((line) => line.split('\t')[0]);
  const session = await ort.InferenceSession.create(modelFile, {
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    graphOptimizationLevel: 'all',
  });
  const [input] = session.inputNames;
  // Only what is answered: fetching the feature map as well would copy 250 kB per request.
  const output = 'probabilities';

  const server = http.createServer(async (request, response) => {
    try {
      if (request.url === '/ready') return response.end();
      const chunks = [];
      for await (const chunk of request) chunks.push(chunk);
      const pixels = await sharp(Buffer.concat(chunks), { sequentialRead: true })
        .rotate()
        .resize(size, size, { fit: 'fill', kernel: 'linear' })
        .removeAlpha()
        .toColourspace('srgb')
        .raw()
        .toBuffer();
      const tensor = new ort.Tensor('uint8', pixels, [1, size, size, 3]);
      const scores = (await session.run({ [input]: tensor }, [output]))[output].data;
      const predictions = Array.from(scores.keys())
        .sort((a, b) => scores[b] - scores[a])
        .slice(0, 5)
        .map((index) => ({ label: labels[index], index, confidence: scores[index] }));
      const body = JSON.stringify({ predictions });
      response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) }).end(body);
    } catch (error) {
      const body = JSON.stringify({ error: error.message });
      response.writeHead(400, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) }).end(body);
    }
  });
  server.keepAliveTimeout = 60_000;
  server.listen(Number(port), '127.0.0.1');
}
