import { createInterface } from 'node:readline';

// `cold`: prints the milliseconds from its start to its first `.get()`. `many`: the median of a hundred. Else it answers each
// line with those of one.

const { Sandbox } = await import('coppice');
const sandbox = Sandbox.run({ image: process.env.COPPICE_BENCH_IMAGE ?? 'tag:bench/busybox', network: 'none' });
sandbox.getStatus().get();
if (process.argv[2] === 'cold') {
  console.log(performance.now());
  process.exit();
}
sandbox.wait().get();

function one() {
  const begun = performance.now();
  sandbox.getStatus().get();
  return performance.now() - begun;
}

if (process.argv[2] === 'many') console.log(Array.from({ length: 100 }, one).sort((a, b) => a - b)[50]);
else for await (const _ of createInterface({ input: process.stdin })) console.log(one());
