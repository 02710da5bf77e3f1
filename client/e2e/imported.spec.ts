import { expect, test } from '@playwright/test';
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { give, jpeg, labelsOf, panel, withSettings } from './page';
import { drawPicture } from './pictures';
import { program, serve, stopServers } from './servers';

const root = new URL('../../', import.meta.url).pathname;
const tool = process.env.WHATSIT_TOOL ?? join(root, 'artifacts/bin/ModelTools/release/whatsit');
const models: [name: string, path: string, ...options: string[]][] = [
  ['digits', '../shared/models/digits-tfjs'],
  ['kivy', '../shared/models/kivy'],
  ['imagenet-uint8', '../shared/models/imagenet/mobilenet_v2_1.0_224_quant.tflite', '--labels', '../shared/models/imagenet/labels.txt'],
  ['imagenet-int8', '../shared/models/imagenet/tf2_mobilenet_v2_1.0_224_ptq.tflite', '--labels', '../shared/models/imagenet/labels.txt'],
  ['bread', '../shared/models/teachable/bread-tflite'],
  ['trash', '../shared/models/teachable/trash-tfjs'],
  ['waste', '../shared/models/teachable/waste-keras'],
  ['layers', 'tests/data/tfjs/layers'],
  ...['described', 'eight-bit-weights', 'free-batch', 'quantized-int8', 'quantized-int8-clamped', 'quantized-uint8'].map((name): [string, string] => [name, `tests/data/tflite/${name}.tflite`]),
  ...['classifier-keras2.h5', 'classifier-keras3.keras', 'sequential-keras2.h5', 'sequential-keras3.keras'].map((name): [string, string] => [name.replace('.', '-'), `tests/data/keras/${name}`]),
  ...['deit', 'mobilenet_v2', 'resnet', 'vit'].map((name): [string, string] => [`weights-${name}`, `tests/data/safetensors/${name}`]),
  ...['convnext', 'efficientnet', 'mobilevit', 'swin-12', 'vit-resized'].map((name): [string, string] => [`exported-${name}`, `tests/data/exporters/${name}`]),
];

test.describe('Every model that the server runs, this device runs, and says the same:', () => {
  test.skip(!existsSync(tool) || !existsSync(program), `skipped: needs ${tool} and ${program}`);
  let folder: string;
  let address: URL;

  test.beforeAll(async () => {
    test.setTimeout(240_000);
    folder = mkdtempSync(join(tmpdir(), 'models-'));
    for (const [name, path, ...options] of models) {
      if (existsSync(join(root, path))) await promisify(execFile)(tool, ['import', path, '--name', name, '--models', folder, ...options], { cwd: root });
    }
    address = await serve({ 'Catalog:Models': folder, 'Catalog:DefaultModel': 'layers' });
  });

  test.afterAll(async () => {
    await stopServers();
    if (folder) rmSync(folder, { recursive: true });
  });

  for (const [name, path] of models) {
    test(name, async ({ page }) => {
      test.skip(!existsSync(join(root, path)), `skipped: there is no ${path}`);
      await withSettings(page, { route: 'both', language: 'en' });
      await page.goto(`${address.href}?model=${name}`);
      await give(page, jpeg('picture.jpg', await drawPicture(page)));
      await expect(panel(page, 'browser').locator('.total')).toBeVisible({ timeout: 45_000 });
      const [ours, theirs] = [await labelsOf(page, 'browser', null), await labelsOf(page, 'server', null)];
      for (const { name: label, share } of theirs) {
        const own = ours.find((one) => one.name === label);
        // Of classes that are all but equal others may be among the best here.
        if (own) expect(Math.abs(own.share - share), label).toBeLessThan(0.02);
        else expect(share, label).toBeLessThan(theirs[0]!.share);
      }
      expect(ours.some(({ name: label }) => label === theirs[0]!.name)).toBe(true);
    });
  }
});
