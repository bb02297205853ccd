/** The product's version; `scripts/check-imports.mjs` compares it with package.json. */
export const VERSION = '0.1.0';
