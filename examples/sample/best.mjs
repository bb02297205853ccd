import { readFileSync } from 'node:fs';

// Ranks runs by the loss that each printed last, the best first: coppice ps --json | node best.mjs

const { operations } = JSON.parse(readFileSync(0, 'utf8'));
const ranking = operations
  .map(({ last_line: line, result_image: image }) => ({ line, image, loss: /loss ([\d.e+-]+)/.exec(line)?.[1] }))
  .filter(({ image, loss }) => image !== null && loss !== undefined)
  .sort((a, b) => a.loss - b.loss);

for (const { line, image, loss } of ranking) console.log(`loss ${loss.padEnd(9)}  ${image.slice(0, 8)}  ${line.split(':')[0]}`);
