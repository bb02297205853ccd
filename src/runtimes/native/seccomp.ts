import { constants } from 'node:os';
import { type Architecture, allowedSyscalls, lastKnownSyscall } from './syscalls.ts';

/**
 * The seccomp filter of every sandbox, compiled here: libseccomp costs more per run than everything else together.
 * One instruction tests the architecture, then a binary search over the numbers ends in a verdict.
 */

interface Instruction {
  readonly code: number;
  readonly jt: number;
  readonly jf: number;
  readonly k: number;
}

// Classic BPF, as in linux/filter.h and linux/bpf_common.h.
const LOAD_WORD = 0x20; // BPF_LD | BPF_W | BPF_ABS
const JUMP = 0x05; // BPF_JMP | BPF_JA
const JUMP_EQUAL = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const JUMP_AT_LEAST = 0x35; // BPF_JMP | BPF_JGE | BPF_K
const JUMP_ANY_BIT = 0x45; // BPF_JMP | BPF_JSET | BPF_K
const RETURN = 0x06; // BPF_RET | BPF_K

// struct seccomp_data
const NUMBER_OFFSET = 0;
const ARCHITECTURE_OFFSET = 4;
const FIRST_ARGUMENT_OFFSET = 16; // its low half: all filtered arguments are 32 bits wide

const ALLOW = 0x7fff0000;
const KILL_PROCESS = 0x80000000;
const { EPERM, ENOSYS, EAFNOSUPPORT } = constants.errno;
const failWith = (errno: number) => 0x00050000 | errno;

const auditArchitectures = { x64: 0xc000003e, arm64: 0xc00000b7 };
const x32Bit = 0x40000000;

/** PER_LINUX, PER_LINUX32, UNAME26 with both, and the question which one is set. */
const personalities = [0x0, 0x8, 0x20000, 0x20008, 0xffffffff];
/**
 * AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, AF_PACKET. Of all others (kernel crypto, the hypervisor's, TIPC, RDS, CAN …) the
 * kernel loads the module for whoever asks, and those are where its holes were found.
 */
const socketFamilies = [1, 2, 10, 16, 17];
/** Every CLONE_NEW* flag that makes a namespace. */
const namespaceFlags = 0x7e020000;

/** The program as `struct sock_filter[]`, little endian, as the kernel takes it. */
export function seccompProgram(architecture: Architecture): Buffer {
  const instructions = [
    load(ARCHITECTURE_OFFSET),
    { code: JUMP_EQUAL, jt: 1, jf: 0, k: auditArchitectures[architecture] },
    verdict(KILL_PROCESS),
    load(NUMBER_OFFSET),
    ...(architecture === 'x64' ? [{ code: JUMP_AT_LEAST, jt: 0, jf: 1, k: x32Bit }, verdict(failWith(ENOSYS))] : []),
    ...searchTree(ranges(architecture)),
  ];
  const program = Buffer.alloc(instructions.length * 8);
  instructions.forEach(({ code, jt, jf, k }, index) => {
    program.writeUInt16LE(code, index * 8);
    program.writeUInt8(jt, index * 8 + 2);
    program.writeUInt8(jf, index * 8 + 3);
    program.writeUInt32LE(k >>> 0, index * 8 + 4);
  });
  return program;
}

/** The same policy as an OCI profile, for a runtime that takes no ready program. */
export function seccompProfile(architecture: Architecture): object {
  const special = ['clone', 'clone3', 'personality', 'socket', 'socketpair'];
  const names = [...allowedSyscalls(architecture).keys()].filter(name => !special.includes(name));
  const allow = (name: string, args: object[]) => ({ names: [name], action: 'SCMP_ACT_ALLOW', args });
  return {
    defaultAction: 'SCMP_ACT_ERRNO',
    defaultErrnoRet: EPERM,
    architectures: [architecture === 'x64' ? 'SCMP_ARCH_X86_64' : 'SCMP_ARCH_AARCH64'],
    syscalls: [
      { names, action: 'SCMP_ACT_ALLOW' },
      { names: ['clone3'], action: 'SCMP_ACT_ERRNO', errnoRet: ENOSYS },
      allow('clone', [{ index: 0, value: namespaceFlags, valueTwo: 0, op: 'SCMP_CMP_MASKED_EQ' }]),
      ...personalities.map(value => allow('personality', [{ index: 0, value, op: 'SCMP_CMP_EQ' }])),
      ...['socket', 'socketpair'].flatMap(name =>
        socketFamilies.map(value => allow(name, [{ index: 0, value, op: 'SCMP_CMP_EQ' }])),
      ),
    ],
  };
}

/** A run of numbers, up to the next range's first, that ends in the same instructions. */
interface Range {
  readonly first: number;
  readonly leaf: readonly Instruction[];
}

function ranges(architecture: Architecture): Range[] {
  const allowed = new Map([...allowedSyscalls(architecture)].map(([name, number]) => [number, name]));
  const found: Range[] = [];
  let previous = '';
  for (let number = 0; number <= lastKnownSyscall + 1; number++) {
    const name = number > lastKnownSyscall ? 'beyond' : allowed.get(number);
    const leaf = leafOf(name);
    const shape = JSON.stringify(leaf);
    if (shape !== previous) found.push({ first: number, leaf });
    previous = shape;
  }
  return found;
}

function leafOf(name: string | undefined): Instruction[] {
  switch (name) {
    case undefined:
      return [verdict(failWith(EPERM))];
    case 'beyond':
    case 'clone3': // its flags are behind a pointer; libraries fall back to clone
      return [verdict(failWith(ENOSYS))];
    case 'clone':
      return [
        load(FIRST_ARGUMENT_OFFSET),
        { code: JUMP_ANY_BIT, jt: 1, jf: 0, k: namespaceFlags },
        verdict(ALLOW),
        verdict(failWith(EPERM)),
      ];
    case 'personality':
      return oneOf(personalities, ALLOW, failWith(EPERM));
    case 'socket':
    case 'socketpair':
      return oneOf(socketFamilies, ALLOW, failWith(EAFNOSUPPORT));
    default:
      return [verdict(ALLOW)];
  }
}

function oneOf(values: readonly number[], then: number, otherwise: number): Instruction[] {
  return [
    load(FIRST_ARGUMENT_OFFSET),
    ...values.map((k, index) => ({ code: JUMP_EQUAL, jt: values.length - index, jf: 0, k })),
    verdict(otherwise),
    verdict(then),
  ];
}

function searchTree(all: readonly Range[]): readonly Instruction[] {
  if (all.length === 1) return all[0]!.leaf;
  const middle = all.length >> 1;
  const lower = searchTree(all.slice(0, middle));
  const upper = searchTree(all.slice(middle));
  const k = all[middle]!.first;
  // A conditional jump reaches 255 instructions, a plain one any distance.
  const branch =
    lower.length <= 255
      ? [{ code: JUMP_AT_LEAST, jt: lower.length, jf: 0, k }]
      : [
          { code: JUMP_AT_LEAST, jt: 0, jf: 1, k },
          { code: JUMP, jt: 0, jf: 0, k: lower.length },
        ];
  return [...branch, ...lower, ...upper];
}

function load(offset: number): Instruction {
  return { code: LOAD_WORD, jt: 0, jf: 0, k: offset };
}

function verdict(k: number): Instruction {
  return { code: RETURN, jt: 0, jf: 0, k };
}
