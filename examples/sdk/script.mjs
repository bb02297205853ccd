// A plain script: no async code anywhere. `.get()` blocks for a result; everything else returns at once.
import { results, Sandbox } from 'coppice';

using sandbox = Sandbox.run({ network: 'none' });
sandbox.writeFile('/work/primes.awk', 'BEGIN { for (n = 2; n < 30; n++) { p = 1; for (d = 2; d * d <= n; d++) if (n % d == 0) p = 0; if (p) print n } }').get();
const primes = sandbox.exec(['awk', '-f', '/work/primes.awk'], { check: true }).get();
console.log('primes:', primes.stdout.trim().split('\n').join(' '));

// Three sandboxes from one image, side by side.
const image = sandbox.snapshot().get();
const refs = [1, 2, 3].map(n => Sandbox.run({ image, network: 'none' }).exec(['sh', '-c', `sed -n ${n}p /work/primes.awk | wc -c; echo ${n}`]));
for (const result of results(refs)) console.log('branch:', result.stdout.trim().split('\n').at(-1));

// Output line by line, as it comes.
for (const line of sandbox.exec(['sh', '-c', 'for i in a b c; do echo $i; sleep 0.05; done']).stdout) console.log('line:', line);
