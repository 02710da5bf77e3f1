// A picture by Hugging Face's own client: arguments are the URL that it is given and the picture; its answer as JSON on standard output.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const { InferenceClient } = createRequire(new URL('../../../client/package.json', import.meta.url))('@huggingface/inference');

const [endpointUrl, picture] = process.argv.slice(2);
const client = new InferenceClient(undefined, { endpointUrl });
const data = new Blob([readFileSync(picture)], { type: 'image/png' });
console.log(JSON.stringify(await client.imageClassification({ data })));
