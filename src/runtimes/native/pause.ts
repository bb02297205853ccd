/**
 * The process of an idle sandbox: a static program of a few hundred bytes that needs nothing of the image. It ignores
 * SIGCHLD, so that the kernel reaps what is left to it as PID 1, ends on SIGTERM and SIGINT, and waits for ever.
 * Called with an argument it ends at once: the probe's proof that a sandbox can start.
 */
export function pauseProgram(architecture: string): Buffer {
  if (architecture === 'x64') return elf(62, x86Code());
  if (architecture === 'arm64') return elf(183, armCode());
  throw new Error(`no pause program for ${architecture}`);
}

const base = 0x400000;
const headerSize = 64 + 56;
const entry = base + headerSize;

/** One ELF header, one program header: everything is one read-only, executable segment. */
function elf(machine: number, code: Buffer): Buffer {
  const header = Buffer.alloc(headerSize);
  header.write('\x7fELF', 'latin1');
  header.set([2, 1, 1], 4); // 64 bit, little endian, version 1
  header.writeUInt16LE(2, 16); // ET_EXEC
  header.writeUInt16LE(machine, 18);
  header.writeUInt32LE(1, 20);
  header.writeBigUInt64LE(BigInt(entry), 24);
  header.writeBigUInt64LE(64n, 32); // program header follows
  header.writeUInt16LE(64, 52);
  header.writeUInt16LE(56, 54);
  header.writeUInt16LE(1, 56);
  const size = BigInt(headerSize + code.length);
  header.writeUInt32LE(1, 64); // PT_LOAD
  header.writeUInt32LE(5, 68); // readable, executable
  header.writeBigUInt64LE(BigInt(base), 80);
  header.writeBigUInt64LE(BigInt(base), 88);
  header.writeBigUInt64LE(size, 96);
  header.writeBigUInt64LE(size, 104);
  header.writeBigUInt64LE(0x1000n, 112);
  return Buffer.concat([header, code]);
}

/** The kernel's struct sigaction: handler, flags, restorer, mask. */
function sigaction(handler: number, flags: number): Buffer {
  const action = Buffer.alloc(32);
  action.writeBigUInt64LE(BigInt(handler), 0);
  action.writeBigUInt64LE(BigInt(flags), 8);
  action.writeBigUInt64LE(BigInt(handler), 16);
  return action;
}

const SIG_IGN = 1;
const SIGINT = 2;
const SIGTERM = 15;
const SIGCHLD = 17;
const SA_RESTORER = 0x04000000;

function x86Code(): Buffer {
  const setAction = 26;
  const exitAt = 7 + 3 * setAction + 9;
  const ignoreAt = exitAt + 9;
  const endAt = ignoreAt + 32;
  const parts: number[][] = [];
  let at = 0;
  const put = (...bytes: number[]) => {
    parts.push(bytes);
    at += bytes.length;
  };
  const rtSigaction = (signal: number, action: number) => {
    put(0xb8, 13, 0, 0, 0); // mov eax, 13 (rt_sigaction)
    put(0xbf, signal, 0, 0, 0); // mov edi, signal
    put(0x48, 0x8d, 0x35, ...int32(action - (at + 7))); // lea rsi, [rip + action]
    put(0x99); // cdq: edx = 0, eax is positive
    put(0x41, 0xba, 8, 0, 0, 0); // mov r10d, 8
    put(0x0f, 0x05); // syscall
  };
  put(0x48, 0x83, 0x3c, 0x24, 0x01); // cmp qword [rsp], 1: argc
  put(0x77, exitAt - 7); // ja exit
  rtSigaction(SIGCHLD, ignoreAt);
  rtSigaction(SIGTERM, endAt);
  rtSigaction(SIGINT, endAt);
  put(0xb8, 34, 0, 0, 0); // wait: mov eax, 34 (pause)
  put(0x0f, 0x05); // syscall
  put(0xeb, 0x100 - 9); // jmp wait
  put(0xb8, 60, 0, 0, 0); // exit: mov eax, 60 (exit)
  put(0x31, 0xff); // xor edi, edi
  put(0x0f, 0x05); // syscall
  return Buffer.concat([Buffer.from(parts.flat()), sigaction(SIG_IGN, 0), sigaction(entry + exitAt, SA_RESTORER)]);
}

function armCode(): Buffer {
  const setAction = 6;
  const exitAt = 3 + 3 * setAction + 8;
  const ignoreAt = exitAt + 3;
  const endAt = ignoreAt + 8;
  const words: number[] = [];
  const movz = (register: number, value: number) => words.push(0xd2800000 | (value << 5) | register);
  const adr = (register: number, target: number) => {
    const distance = (target - words.length) * 4;
    words.push(0x10000000 | ((distance & 3) << 29) | (((distance >> 2) & 0x7ffff) << 5) | register);
  };
  const svc = () => words.push(0xd4000001);
  const rtSigaction = (signal: number, action: number) => {
    movz(8, 134); // rt_sigaction
    movz(0, signal);
    adr(1, action);
    movz(2, 0);
    movz(3, 8);
    svc();
  };
  words.push(0xf94003e0); // ldr x0, [sp]: argc
  words.push(0xf100041f); // cmp x0, #1
  words.push(0x54000008 | ((exitAt - 2) << 5)); // b.hi exit
  rtSigaction(SIGCHLD, ignoreAt);
  rtSigaction(SIGTERM, endAt);
  rtSigaction(SIGINT, endAt);
  movz(8, 73); // wait: ppoll(NULL, 0, NULL, NULL, 8): there is no pause here
  for (const register of [0, 1, 2, 3]) movz(register, 0);
  movz(4, 8);
  svc();
  words.push(0x14000000 | (-7 & 0x3ffffff)); // b wait
  movz(8, 93); // exit
  movz(0, 0);
  svc();
  const code = Buffer.alloc(words.length * 4);
  words.forEach((word, index) => {
    code.writeUInt32LE(word >>> 0, index * 4);
  });
  return Buffer.concat([code, sigaction(SIG_IGN, 0), sigaction(entry + exitAt * 4, 0)]);
}

function int32(value: number): number[] {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return [...bytes];
}
