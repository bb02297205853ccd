// The first thing an entry point runs, on whatever Node there is: it uses nothing new.
const NEEDED: readonly [number, number] = [22, 22];
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);

if (major < NEEDED[0] || (major === NEEDED[0] && minor < NEEDED[1])) {
  const error = new Error(`coppice needs Node ${NEEDED.join('.')} or newer; this is Node ${process.versions.node}`);
  // The message is all there is to know.
  error.stack = error.message;
  throw error;
}

export {};
