import assert from 'node:assert/strict';
import { test } from 'node:test';
import { overlayOptions } from '../../../src/runtimes/native/host/mounts.ts';
import { type ContainerSpec, ociSpec, processSpec } from '../../../src/runtimes/native/ociSpec.ts';

const root = { uid: 0, gid: 0, additionalGids: [] };
const process = { args: ['/bin/true'], env: ['PATH=/bin'], cwd: '/', user: root, tty: undefined };
const spec: ContainerSpec = {
  rootfs: '/run/b/sb-1/rootfs',
  process,
  hostname: 'box',
  binds: [{ source: '/run/b/sb-1/hosts', target: '/etc/hosts', readOnly: false }],
  network: 'none',
  seccomp: { program: 'AAAA' },
  pidMax: undefined,
};

// biome-ignore lint/suspicious/noExplicitAny: a test looks into JSON
const made = (change: Partial<ContainerSpec> = {}): any => ociSpec({ ...spec, ...change });

test('no new privileges, Docker’s capabilities for root and none for others', () => {
  const asRoot = made().process;
  assert.equal(asRoot.noNewPrivileges, true);
  assert.equal(asRoot.capabilities.effective.length, 14);
  for (const refused of ['CAP_SYS_ADMIN', 'CAP_NET_ADMIN', 'CAP_SYS_PTRACE', 'CAP_SYS_MODULE', 'CAP_DAC_READ_SEARCH']) {
    assert.ok(!asRoot.capabilities.bounding.includes(refused), refused);
  }
  // biome-ignore lint/suspicious/noExplicitAny: a test looks into JSON
  const asUser = processSpec({ ...process, user: { uid: 1000, gid: 1000, additionalGids: [27] } }) as any;
  assert.deepEqual(asUser.capabilities.effective, []);
  assert.deepEqual(asUser.capabilities.permitted, []);
  assert.deepEqual(asUser.capabilities.ambient, []);
  assert.deepEqual(asUser.user.additionalGids, [27]);
});

test('namespaces of its own, the network by choice', () => {
  const types = (change: Partial<ContainerSpec>) =>
    made(change).linux.namespaces.map((one: { type: string }) => one.type);
  assert.deepEqual(types({}), ['pid', 'ipc', 'uts', 'mount', 'cgroup', 'network']);
  assert.deepEqual(types({ network: 'host' }), ['pid', 'ipc', 'uts', 'mount', 'cgroup']);
  assert.deepEqual(made({ network: { path: '/proc/7/ns/net' } }).linux.namespaces.at(-1), {
    type: 'network',
    path: '/proc/7/ns/net',
  });
});

test('names of an overlay’s folders are escaped', () => {
  const options = overlayOptions({ lower: ['/a:b/usr', '/usr'], upper: '/u,1/usr', work: '/w' });
  assert.deepEqual(options.slice(0, 2), ['lowerdir=/a\\:b/usr:/usr', 'upperdir=/u\\,1/usr']);
  assert.ok(options.includes('userxattr') && options.includes('volatile'));
});

test('kernel files are masked or read only, /sys is', () => {
  const { linux, mounts } = made();
  for (const path of ['/proc/kcore', '/proc/keys', '/sys/firmware']) assert.ok(linux.maskedPaths.includes(path));
  for (const path of ['/proc/sys', '/proc/sysrq-trigger']) assert.ok(linux.readonlyPaths.includes(path));
  const sys = mounts.find((mount: { destination: string }) => mount.destination === '/sys');
  assert.ok(sys.options.includes('ro') && sys.options.includes('nosuid'));
});

test('a filter always: the program for crun, the list for runc', () => {
  assert.equal(made().annotations['run.oci.seccomp_bpf_data'], 'AAAA');
  assert.deepEqual(made({ seccomp: { profile: { defaultAction: 'x' } } }).linux.seccomp, { defaultAction: 'x' });
});

test('the limit of processes is an argument of a static hook', () => {
  const [hook] = made({ pidMax: 400 }).hooks.createContainer;
  assert.equal(hook.args.at(-1), '400');
  assert.ok(!hook.args[2].includes('400'));
  assert.equal(made().hooks, undefined);
});
