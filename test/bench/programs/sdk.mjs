import { createInterface } from 'node:readline';

// Answers each line with the milliseconds of what it asks: `get`, one `.get()`; or is run anew: `cold`, from its start to the first.

const { Sandbox } = await import('coppice');
const sandbox = Sandbox.run({ image: 'tag:bench/busybox', network: 'none' });
sandbox.getStatus().get();
if (process.argv[2] === 'cold') {
  console.log(performance.now());
  // The rest is not what is measured.
  process.reallyExit(0);
}
sandbox.wait().get();
for await (const _ of createInterface({ input: process.stdin })) {
  const begun = performance.now();
  sandbox.getStatus().get();
  console.log(performance.now() - begun);
}
