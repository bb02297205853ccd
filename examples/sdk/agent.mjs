// An agent loop without MCP: a model proposes, a sandbox disposes. Each attempt runs on a branch of its own; a failed one is
// thrown away with its files, a good one becomes the image that the next starts from.
import { Sandbox, Session } from 'coppice';

// Stands in for a model: it sees what happened so far and answers with the next command.
function propose(history) {
  const plan = ['mkdir /app && echo "3 4" > /app/input', 'awk "{ print \\$1 / 0 }" /app/input', 'awk "{ print \\$1 * \\$2 }" /app/input > /app/answer'];
  return plan[history.length];
}

using session = new Session({ network: 'none', tags: ['agent'] });
const history = [];
let image;
for (let command = propose(history); command !== undefined; command = propose(history)) {
  using sandbox = session.sandbox(image === undefined ? {} : { image });
  const { ok, stdout, stderr } = sandbox.exec(['sh', '-c', command], { timeoutMs: 10_000 }).get();
  if (ok) image = sandbox.snapshot().get();
  history.push({ command, ok, output: (stdout + stderr).trim() });
  console.log(ok ? 'kept:' : 'rolled back:', command);
}

using result = session.sandbox({ image });
console.log('answer:', result.readFile('/app/answer', { encoding: 'utf8' }).get().trim());
console.log('left:', Sandbox.list({ tags: ['agent'] }).get().length);
