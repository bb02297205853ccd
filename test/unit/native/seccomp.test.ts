import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { describe, test } from 'node:test';
import { seccompProfile, seccompProgram } from '../../../src/runtimes/native/seccomp.ts';
import { type Architecture, allowedSyscalls, lastKnownSyscall } from '../../../src/runtimes/native/syscalls.ts';

const allow = 0x7fff0000;
const eperm = 0x00050000 | constants.errno.EPERM;
const eafnosupport = 0x00050000 | constants.errno.EAFNOSUPPORT;
const enosys = 0x00050000 | constants.errno.ENOSYS;
const kill = 0x80000000;
const audit = { x64: 0xc000003e, arm64: 0xc00000b7 };

/** What the kernel does with a classic BPF program: the oracle for ours. */
function judge(program: Buffer, architecture: number, number: number, argument = 0): number {
  const data = Buffer.alloc(64);
  data.writeUInt32LE(number >>> 0, 0);
  data.writeUInt32LE(architecture, 4);
  data.writeUInt32LE(argument >>> 0, 16);
  let accumulator = 0;
  for (let at = 0, steps = 0; steps < 100; steps++) {
    const code = program.readUInt16LE(at * 8);
    const [jt, jf, k] = [
      program.readUInt8(at * 8 + 2),
      program.readUInt8(at * 8 + 3),
      program.readUInt32LE(at * 8 + 4),
    ];
    at++;
    if (code === 0x06) return k;
    if (code === 0x20) accumulator = data.readUInt32LE(k);
    else if (code === 0x05) at += k;
    else if (code === 0x15) at += accumulator === k ? jt : jf;
    else if (code === 0x35) at += accumulator >= k ? jt : jf;
    else if (code === 0x45) at += (accumulator & k) !== 0 ? jt : jf;
    else assert.fail(`instruction ${code} is not one of ours`);
  }
  assert.fail('the program takes too many steps');
}

for (const architecture of ['x64', 'arm64'] as const satisfies readonly Architecture[]) {
  describe(`seccomp on ${architecture}`, () => {
    const program = seccompProgram(architecture);
    const names = allowedSyscalls(architecture);
    const special = ['clone', 'clone3', 'personality', 'socket', 'socketpair'];
    const verdict = (name: string, argument?: number) =>
      judge(program, audit[architecture], names.get(name) ?? assert.fail(`${name} is not in the table`), argument);

    test('every number has the verdict of the table', () => {
      const allowed = new Set([...names].filter(([name]) => !special.includes(name)).map(([, number]) => number));
      const looked = new Set(special.map(name => names.get(name)));
      for (let number = 0; number <= lastKnownSyscall; number++) {
        if (looked.has(number)) continue;
        assert.equal(judge(program, audit[architecture], number), allowed.has(number) ? allow : eperm, String(number));
      }
    });

    test('no number means two calls', () => {
      assert.equal(new Set(names.values()).size, names.size);
    });

    test('unknown new calls do not exist, a foreign architecture is killed', () => {
      assert.equal(judge(program, audit[architecture], lastKnownSyscall + 1), enosys);
      assert.equal(judge(program, audit[architecture], 0x3fffffff), enosys);
      assert.equal(judge(program, 0x40000003, 0), kill);
      assert.equal(judge(program, audit[architecture === 'x64' ? 'arm64' : 'x64'], 0), kill);
    });

    test('threads and processes, but no namespaces', () => {
      assert.equal(verdict('clone', 0x01200011), allow);
      assert.equal(verdict('clone', 0x003d0f00), allow);
      for (const flag of [0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000]) {
        assert.equal(verdict('clone', flag | 17), eperm, flag.toString(16));
      }
      assert.equal(verdict('clone3'), enosys);
    });

    test('personalities and socket families', () => {
      assert.equal(verdict('personality', 0xffffffff), allow);
      assert.equal(verdict('personality', 0x20008), allow);
      assert.equal(verdict('personality', 0x40000), eperm);
      for (const call of ['socket', 'socketpair']) {
        for (const family of [1, 2, 10, 16, 17]) assert.equal(verdict(call, family), allow);
        for (const family of [0, 3, 15, 21, 29, 30, 31, 38, 40, 44, 0xffff])
          assert.equal(verdict(call, family), eafnosupport, String(family));
      }
    });

    test('what Docker refuses by default is not in the list', () => {
      const refused = `acct add_key bpf clock_settime delete_module fanotify_init finit_module fsconfig fsmount fsopen
        fspick get_mempolicy init_module io_uring_enter io_uring_register io_uring_setup ioperm iopl kcmp
        kexec_file_load kexec_load keyctl lookup_dcookie mbind mount mount_setattr move_mount move_pages
        open_by_handle_at open_tree perf_event_open pidfd_getfd pivot_root process_madvise quotactl reboot request_key
        setdomainname sethostname setns settimeofday swapoff swapon syslog umount2 unshare userfaultfd vhangup`;
      for (const name of refused.split(/\s+/)) assert.equal(names.has(name), false, name);
    });

    test('the program is short enough for the kernel and no jump leaves it', () => {
      const length = program.length / 8;
      assert.ok(length < 4096);
      for (let at = 0; at < length; at++) {
        const code = program.readUInt16LE(at * 8);
        if (code === 0x06 || code === 0x20) continue;
        const far =
          code === 0x05 ? program.readUInt32LE(at * 8 + 4) : Math.max(program[at * 8 + 2]!, program[at * 8 + 3]!);
        assert.ok(at + 1 + far < length);
      }
    });
  });
}

test('x32 calls do not exist', () => {
  assert.equal(judge(seccompProgram('x64'), audit.x64, 0x40000000 + 39), enosys);
});

test('the list for runc holds the same names', () => {
  const profile = seccompProfile('x64') as { syscalls: { names: string[]; action: string }[] };
  const listed = new Set(profile.syscalls.flatMap(rule => rule.names));
  assert.deepEqual(
    [...allowedSyscalls('x64').keys()].filter(name => !listed.has(name)),
    [],
  );
});
