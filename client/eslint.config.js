import js from '@eslint/js';
import reactHooks from 'eslint-plugin-react-hooks';
import globals from 'globals';
import { readdirSync } from 'node:fs';
import tseslint from 'typescript-eslint';

// Imports go one way: components <- engines <- features <- App. A room may use what stands before it, never what comes after,
// and features never import each other; App is where they meet.
const features = readdirSync('src/features', { withFileTypes: true }).filter((entry) => entry.isDirectory()).map((entry) => entry.name);
const closed = (room, others, message) => ({
  files: [`src/${room}/**/*.{ts,tsx}`],
  rules: { 'no-restricted-imports': ['error', { patterns: [{ regex: `^\\.{1,2}/(.*/)?(${others.join('|')})(/|$)`, message }] }] },
});
const oneWay = [
  closed('components', ['engines', 'features', 'App'], 'components know neither engines nor features'),
  closed('engines', ['components', 'features', 'App'], 'engines know nothing of the page'),
  closed('texts', ['components', 'engines', 'features', 'App'], 'texts stand alone'),
  ...features.map((feature) =>
    closed(`features/${feature}`, ['App', ...features.filter((other) => other !== feature)], 'features know neither App nor each other; let App join them')),
];

export default tseslint.config(
  { ignores: ['**/dist', 'dev-dist', 'node_modules', 'playwright-report', 'test-results', 'mobile', 'src/engines/api.ts'] },
  js.configs.recommended,
  ...tseslint.configs.recommendedTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname }, globals: { ...globals.browser } },
    rules: {
      '@typescript-eslint/no-confusing-void-expression': 'off',
    },
  },
  ...oneWay,
  { files: ['src/**/*.{ts,tsx}'], ...reactHooks.configs.flat.recommended },
  { files: ['**/*.js', '**/*.mjs'], ...tseslint.configs.disableTypeChecked, languageOptions: { globals: { ...globals.node } } },
);
