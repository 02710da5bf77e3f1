import js from '@eslint/js';
import importX from 'eslint-plugin-import-x';
import reactHooks from 'eslint-plugin-react-hooks';
import globals from 'globals';
import { readdirSync } from 'node:fs';
import tseslint from 'typescript-eslint';

// Imports go one way: components <- engines <- features <- App. A room may use what stands before it, never what comes after,
// and features never import each other; App is where they meet.
const features = readdirSync('src/features', { withFileTypes: true }).filter((entry) => entry.isDirectory()).map((entry) => entry.name);
const zones = [
  { target: './src/components', from: ['./src/engines', './src/features', './src/App.tsx'], message: 'components know neither engines nor features' },
  { target: './src/engines', from: ['./src/components', './src/features', './src/App.tsx'], message: 'engines know nothing of the page' },
  { target: './src/features', from: './src/App.tsx', message: 'features do not know App' },
  { target: './src/texts', from: ['./src/components', './src/engines', './src/features', './src/App.tsx'], message: 'texts stand alone' },
  ...features.map((feature) => ({
    target: `./src/features/${feature}`,
    from: './src/features',
    except: [`./${feature}`],
    message: 'features never import features; let App join them',
  })),
];

export default tseslint.config(
  { ignores: ['dist', 'dev-dist', 'node_modules', 'playwright-report', 'test-results', 'mobile'] },
  js.configs.recommended,
  ...tseslint.configs.recommendedTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname }, globals: { ...globals.browser } },
    plugins: { 'import-x': importX },
    settings: { 'import-x/resolver': { node: { extensions: ['.ts', '.tsx', '.js'] } } },
    rules: {
      'import-x/no-restricted-paths': ['error', { zones }],
      '@typescript-eslint/no-confusing-void-expression': 'off',
    },
  },
  { files: ['src/**/*.{ts,tsx}'], ...reactHooks.configs.flat.recommended },
  { files: ['**/*.js', '**/*.mjs'], ...tseslint.configs.disableTypeChecked, languageOptions: { globals: { ...globals.node } } },
);
