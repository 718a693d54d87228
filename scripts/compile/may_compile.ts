/**
 * A program of 220 bytes that tests whether a process may have memory that is writable and executable, which V8 needs.
 * `MemoryDenyWriteExecute=` of a unit (prctl(PR_SET_MDWE) or seccomp) and SELinux (execmem) forbid it. V8 then crashes
 * with a message of its own. No file in /proc shows this in advance, and no program that every machine has can test it.
 * So the launcher runs this program before Deno. It takes 0.2 ms.
 *
 * @module
 */

import type { Target } from "./target.ts";

/**
 * Requests one page by mmap(2), and exits with 0 or with the errno of the failure. Without C library and stack:
 * `exit(min(mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 0) * -1)`.
 */
const CODE: Readonly<Record<Target["arch"], readonly number[]>> = {
  // deno-fmt-ignore
  x86_64: [
    0x31, 0xff,                         // xor   edi, edi
    0xbe, 0x00, 0x10, 0x00, 0x00,       // mov   esi, 4096
    0xba, 0x07, 0x00, 0x00, 0x00,       // mov   edx, 7
    0x41, 0xba, 0x22, 0x00, 0x00, 0x00, // mov   r10d, 0x22
    0x49, 0x83, 0xc8, 0xff,             // or    r8, -1
    0x45, 0x31, 0xc9,                   // xor   r9d, r9d
    0xb8, 0x09, 0x00, 0x00, 0x00,       // mov   eax, 9 (mmap)
    0x0f, 0x05,                         // syscall
    0x48, 0x99,                         // cqo: rdx is -1 if rax is negative, else 0
    0xf7, 0xd8,                         // neg   eax
    0x21, 0xd0,                         // and   eax, edx
    0x89, 0xc7,                         // mov   edi, eax
    0xb8, 0x3c, 0x00, 0x00, 0x00,       // mov   eax, 60 (exit)
    0x0f, 0x05,                         // syscall
  ],
  // deno-fmt-ignore
  aarch64: words(
    0xd2800000, // mov x0, #0
    0xd2820001, // mov x1, #4096
    0xd28000e2, // mov x2, #7
    0xd2800443, // mov x3, #0x22
    0x92800004, // mov x4, #-1
    0xd2800005, // mov x5, #0
    0xd2801bc8, // mov x8, #222 (mmap)
    0xd4000001, // svc #0
    0x937ffc01, // asr x1, x0, #63
    0xcb0003e0, // neg x0, x0
    0x8a010000, // and x0, x0, x1
    0xd2800ba8, // mov x8, #93 (exit)
    0xd4000001, // svc #0
  ),
};

function words(...values: number[]): number[] {
  return values.flatMap((value) => [0, 8, 16, 24].map((shift) => value >>> shift & 0xff));
}

/** elf.h: Elf64_Ehdr, Elf64_Phdr */
const [HEADER, PROGRAM_HEADER] = [64, 56];
const [ET_EXEC, PT_LOAD, PT_GNU_STACK] = [2, 1, 0x6474e551];
const [READ_EXECUTE, READ_WRITE] = [5, 6];
/** The load address, and the largest page size that exists (arm64). */
const [ADDRESS, PAGE] = [0x400000n, 0x10000n];

/** The program, as an ELF file. */
export function mayCompile({ arch, elfMachine }: Target): Uint8Array {
  const code = CODE[arch];
  const start = HEADER + 2 * PROGRAM_HEADER;
  const file = new Uint8Array(start + code.length);
  const view = new DataView(file.buffer);
  // 64 bits, little-endian, version 1.
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, ET_EXEC, true);
  view.setUint16(18, elfMachine, true);
  view.setUint32(20, 1, true);
  view.setBigUint64(24, ADDRESS + BigInt(start), true);
  view.setBigUint64(32, BigInt(HEADER), true);
  view.setUint16(52, HEADER, true);
  view.setUint16(54, PROGRAM_HEADER, true);
  view.setUint16(56, 2, true);
  // The whole file is executable. The stack is not; otherwise some kernels make all memory executable.
  view.setUint32(HEADER, PT_LOAD, true);
  view.setUint32(HEADER + 4, READ_EXECUTE, true);
  view.setBigUint64(HEADER + 16, ADDRESS, true);
  view.setBigUint64(HEADER + 24, ADDRESS, true);
  view.setBigUint64(HEADER + 32, BigInt(file.length), true);
  view.setBigUint64(HEADER + 40, BigInt(file.length), true);
  view.setBigUint64(HEADER + 48, PAGE, true);
  view.setUint32(HEADER + PROGRAM_HEADER, PT_GNU_STACK, true);
  view.setUint32(HEADER + PROGRAM_HEADER + 4, READ_WRITE, true);
  file.set(code, start);
  return file;
}
