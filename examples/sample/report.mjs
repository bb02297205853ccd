import { readFileSync } from 'node:fs';

// Draws the measured shoots (●) and the line that train.sh found (·).

const { slope, intercept, loss } = JSON.parse(readFileSync(new URL('model.json', import.meta.url), 'utf8'));
const shoots = readFileSync(new URL('data/shoots.csv', import.meta.url), 'utf8')
  .trim()
  .split('\n')
  .slice(1)
  .map(line => line.split(',').map(Number));

const columns = 60;
const rows = 14;
const oldest = Math.max(...shoots.map(([age]) => age));
const highest = Math.max(...shoots.map(([, height]) => height));
const grid = Array.from({ length: rows }, () => Array(columns).fill(' '));

function mark(age, height, sign) {
  const column = Math.round((age / oldest) * (columns - 1));
  const row = rows - 1 - Math.round((height / highest) * (rows - 1));
  if (grid[row]?.[column] !== undefined) grid[row][column] = sign;
}

for (let column = 0; column < columns; column++) {
  const age = (column / (columns - 1)) * oldest;
  mark(age, slope * age + intercept, '·');
}
for (const [age, height] of shoots) mark(age, height, '●');

console.log(grid.map(row => `│${row.join('').trimEnd()}`).join('\n'));
console.log(`└${'─'.repeat(columns)} age`);
console.log(`height = ${slope} × age + ${intercept}   loss ${loss}`);
