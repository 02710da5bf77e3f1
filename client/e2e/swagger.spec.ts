import { expect, test } from '@playwright/test';
import { readFileSync } from 'node:fs';

const sample = new URL('../../models/grocery/sample.png', import.meta.url);

test.beforeEach(async ({ page }) => {
  await page.goto('/swagger/index.html');
  await page.locator('#operations-Predictions-Predict .opblock-summary-control').click();
});

test('"Try it out" uploads a photo, with parameters to choose from, and shows its labels', async ({ page }) => {
  const predict = page.locator('#operations-Predictions-Predict');
  await expect(predict.locator('.opblock-description')).toContainText('<base64 or data URL>');
  await predict.getByRole('button', { name: 'Try it out' }).click();
  const parameter = (name: string) => predict.locator(`tr[data-param-name="${name}"][data-param-in="query"]`);
  await expect(parameter('model').locator('option')).toHaveText(['--', 'grocery']);
  await parameter('explain').locator('select').selectOption('true');
  await parameter('topK').locator('input').fill('2');
  await predict.locator('input[type=file]').setInputFiles({ name: 'apple.png', mimeType: 'image/png', buffer: readFileSync(sample) });
  const [answered] = await Promise.all([page.waitForResponse((response) => response.request().method() === 'POST'), predict.getByRole('button', { name: 'Execute' }).click()]);
  const { predictions } = (await answered.json()) as { predictions: { label: string; map: number[][] }[] };
  expect(predictions.map(({ label }) => label)).toEqual(['Granny Smith apple', 'Golden Delicious apple']);
  expect(predictions[0]!.map.length).toBeGreaterThan(1);
  await expect(predict.locator('.live-responses-table')).toContainText('Granny Smith apple');
});

test('The JSON that stands there can be sent as it is, and every refusal shows its body', async ({ page }) => {
  const predict = page.locator('#operations-Predictions-Predict');
  const refused = predict.locator('tr.response[data-code="429"]');
  await expect(refused).toContainText('As many requests wait as may');
  await refused.locator('.examples-select select').selectOption('rate-limited');
  await expect(refused).toContainText('You have sent more than 60 requests per minute');

  await predict.getByLabel('Request content type').selectOption('application/json');
  await predict.getByRole('button', { name: 'Try it out' }).click();
  await predict.getByRole('button', { name: 'Execute' }).click();
  await expect(predict.locator('.live-responses-table .response .response-col_status')).toContainText('200');
});
