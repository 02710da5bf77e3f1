// A repository by Hugging Face's own client: arguments are the hub's URL and the repository; its files with what came of each as JSON on standard output.
import { createHash } from 'node:crypto';
import { createRequire } from 'node:module';

const { downloadFile, listFiles, modelInfo } = createRequire(new URL('../../../client/package.json', import.meta.url))('@huggingface/hub');

const [hubUrl, name] = process.argv.slice(2);
const { sha: revision, task } = await modelInfo({ name, hubUrl, additionalFields: ['sha'] });
const repo = { type: 'model', name };
const files = {};
for await (const { type, path, size } of listFiles({ repo, recursive: true, revision, hubUrl })) {
  if (type !== 'file') continue;
  const content = Buffer.from(await (await downloadFile({ repo, path, revision, hubUrl, xet: false })).arrayBuffer());
  files[path] = [size, createHash('sha256').update(content).digest('hex')];
}
console.log(JSON.stringify({ revision, task, files }));
