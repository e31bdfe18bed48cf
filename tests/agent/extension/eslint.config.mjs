// For the extension and its tests: what is likely a mistake, and no style that
// a reader would not miss. Run by tests/lint.
const browser = ['AbortSignal', 'CustomEvent', 'Intl', 'URL', 'addEventListener',
  'atob', 'btoa', 'clearTimeout', 'crypto', 'document', 'globalThis', 'location',
  'setTimeout', 'window'];
const node = ['Buffer', 'TextEncoder', 'URL', 'clearTimeout', 'crypto',
  'globalThis', 'setTimeout', 'structuredClone'];
const readonly = (names) =>
  Object.fromEntries(names.map((name) => [name, 'readonly']));

const rules = {
  'array-callback-return': 'error',
  'eqeqeq': 'error',
  'no-constant-binary-expression': 'error',
  'no-dupe-keys': 'error',
  'no-eval': 'error',
  'no-fallthrough': 'error',
  'no-implied-eval': 'error',
  'no-self-compare': 'error',
  'no-undef': 'error',
  'no-unreachable': 'error',
  'no-unsafe-finally': 'error',
  'no-unused-vars': ['error', {args: 'after-used', argsIgnorePattern: '^_'}],
  'no-var': 'error',
  'prefer-const': 'error',
};

export default [
  {
    files: ['agent/extension/**/*.js'], rules,
    languageOptions: {globals: readonly(browser)},
  },
  {
    files: ['tests/agent/extension/*.mjs'], rules,
    languageOptions: {globals: readonly(node)},
  },
];
