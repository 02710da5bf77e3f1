/** The request that the page makes, in four languages, ready to be pasted. */
export interface SnippetRequest {
  /** Scheme, host and port of the server. */
  origin: string;
  model: string;
  topK: number;
  file: string;
}

export const languages = ['curl', 'Python', 'JavaScript', 'C#'] as const;
export type SnippetLanguage = (typeof languages)[number];

export function snippet(language: SnippetLanguage, { origin, model, topK, file }: SnippetRequest): string {
  const url = `${origin}/predict?model=${encodeURIComponent(model)}&topK=${topK}`;
  switch (language) {
    case 'curl':
      return `curl --data-binary ${shell(`@${file}`)} \\\n  ${shell(url)}\n`;
    case 'Python':
      return `import urllib.request, json

with open(${text(file)}, "rb") as photo:
    request = urllib.request.Request(
        ${text(url)},
        data=photo.read(), headers={"Content-Type": "application/octet-stream"})

for prediction in json.load(urllib.request.urlopen(request))["predictions"]:
    print(f'{prediction["confidence"]:6.1%}  {prediction["label"]}')
`;
    case 'JavaScript':
      return `import { readFile } from 'node:fs/promises';

const response = await fetch(${text(url)}, {
  method: 'POST',
  headers: { 'Content-Type': 'application/octet-stream' },
  body: await readFile(${text(file)}),
});
const { predictions } = await response.json();
for (const { label, confidence } of predictions) console.log((confidence * 100).toFixed(1) + ' %', label);
`;
    case 'C#':
      return `using System.Text.Json.Nodes;

using var client = new HttpClient();
using var photo = new StreamContent(File.OpenRead(${text(file)}));
var response = await client.PostAsync(${text(url)}, photo);
var answer = JsonNode.Parse(await response.EnsureSuccessStatusCode().Content.ReadAsStringAsync())!;
foreach (var prediction in answer["predictions"]!.AsArray())
    Console.WriteLine($"{(double)prediction!["confidence"]!,7:P1}  {prediction["label"]}");
`;
  }
}

/** In single quotes nothing means anything to a shell but the quote itself. */
const shell = (argument: string): string => `'${argument.replaceAll("'", `'\\''`)}'`;
/** A JSON string is a string literal in Python, JavaScript and C# alike. */
const text = (value: string): string => JSON.stringify(value);
