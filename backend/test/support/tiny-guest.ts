import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmod, mkdir, open, readFile, rm, stat } from 'node:fs/promises'
import { promisify } from 'node:util'
import type { Fingerprint } from '../../src/domain/image.js'
import { imageFile, type Layout } from '../../src/domain/layout.js'

const run = promisify(execFile)

/** What the tiny guest prints when it is up; after that it echoes. */
export const READY = 'READY\r\n'
/** Makes it power itself off. */
export const POWER_OFF = 'P'
/** Makes it write its disk from end to end; it prints `E` when a write fails. */
export const FILL_DISK = 'W'
/**
 * Makes it count on its disk without end: sector `FIRST_COUNTED` gets its own number, then the next one; it prints a dot
 * after each write that the disk has taken.
 */
export const COUNT_ON_DISK = 'C'
export const FIRST_COUNTED = 64

/**
 * A guest of one sector that needs no Linux: prints READY on the serial line, echoes what it reads, sleeps in between,
 * obeys the three letters above, and takes no notice of the power button. One machine instruction a line.
 */
const CODE = `
  fa              ; cli
  31 c0           ; xor ax,ax
  8e d8           ; mov ds,ax
  8e d0           ; mov ss,ax
  bc 00 7c        ; mov sp,0x7c00
  fb              ; sti
  fc              ; cld
  88 16 a3 7c     ; mov drive,dl
  ba fb 03        ; mov dx,0x3fb
  b0 80           ; mov al,0x80
  ee              ; out dx,al
  ba f8 03        ; mov dx,0x3f8
  b0 01           ; mov al,0x1
  ee              ; out dx,al
  42              ; inc dx
  30 c0           ; xor al,al
  ee              ; out dx,al
  ba fb 03        ; mov dx,0x3fb
  b0 03           ; mov al,0x3
  ee              ; out dx,al
  4a              ; dec dx
  b0 07           ; mov al,0x7
  ee              ; out dx,al
  be a4 7c        ; mov si,ready
  ; text
  ac              ; lods al,ds:[si]
  84 c0           ; test al,al
  74 05           ; je idle
  e8 22 00        ; call putc
  eb f6           ; jmp text
  ; idle
  f4              ; hlt
  ; poll
  ba fd 03        ; mov dx,0x3fd
  ec              ; in al,dx
  a8 01           ; test al,0x1
  74 f7           ; je idle
  ba f8 03        ; mov dx,0x3f8
  ec              ; in al,dx
  3c 50           ; cmp al,0x50
  74 20           ; je off
  3c 57           ; cmp al,0x57
  74 25           ; je fill
  3c 43           ; cmp al,0x43
  0f 84 ae 00     ; je count
  e8 02 00        ; call putc
  eb e1           ; jmp poll
  ; putc: one byte to the serial line
  88 c4           ; mov ah,al
  ba fd 03        ; mov dx,0x3fd
  ; wait
  ec              ; in al,dx
  a8 20           ; test al,0x20
  74 fb           ; je wait
  88 e0           ; mov al,ah
  ba f8 03        ; mov dx,0x3f8
  ee              ; out dx,al
  c3              ; ret
  ; off: ACPI soft-off through the PIIX4 power register
  ba 04 06        ; mov dx,0x604
  b8 00 20        ; mov ax,0x2000
  ef              ; out dx,ax
  eb c6           ; jmp idle
  ; fill: INT 13h extended write, 64 sectors at a time, until it fails
  be 93 7c        ; mov si,packet
  b4 43           ; mov ah,0x43
  30 c0           ; xor al,al
  8a 16 a3 7c     ; mov dl,drive
  cd 13           ; int 0x13
  72 0c           ; jb failed
  83 06 9b 7c 40  ; add lba,0x40
  83 16 9d 7c 00  ; adc lba+2,0x0
  eb e5           ; jmp fill
  ; failed
  b0 45           ; mov al,0x45
  e8 c6 ff        ; call putc
  eb a4           ; jmp idle
  ; packet
  10 00 40 00 00 00 00 f0 ; 16 bytes, 64 sectors, from F000:0000 (the BIOS: not zeros)
  ; lba
  40 00 00 00 00 00 00 00 ; after the boot sector
  ; drive
  00
  ; ready
`

/** At 0x7d00: each sector from 64 on gets its own number as its first four bytes, one after the other, for ever. */
const COUNT_OFFSET = 0x100
const COUNT = `
  ; count
  be 25 7d        ; mov si,packet
  66 8b 44 08     ; mov eax,[si+8]
  66 a3 00 80     ; mov ds:[0x8000],eax
  b4 43           ; mov ah,0x43
  30 c0           ; xor al,al
  8a 16 a3 7c     ; mov dl,drive
  cd 13           ; int 0x13
  0f 82 73 ff     ; jb failed
  66 ff 06 2d 7d  ; inc dword ptr lba
  b0 2e           ; mov al,'.'
  e8 34 ff        ; call putc
  eb db           ; jmp count
  ; packet
  10 00 01 00 00 80 00 00 ; 16 bytes, 1 sector, from 0000:8000
  ; lba
  40 00 00 00 00 00 00 00 ; after the boot sector
`

const MIB = 1024 * 1024

export interface TinyImage {
  file: string
  fingerprint: Fingerprint
  virtualSizeBytes: number
}

/** A base image that boots the tiny guest, as the import room would leave it: fresh qcow2, mode 0444. */
export async function makeTinyImage(
  layout: Layout,
  options: { id?: string; sizeMib?: number } = {},
): Promise<TinyImage> {
  const file = `${options.id ?? 'tiny-guest'}.qcow2`
  const virtualSizeBytes = (options.sizeMib ?? 16) * MIB
  const path = imageFile(layout, file)
  const raw = `${path}.raw`
  await mkdir(layout.images, { recursive: true })
  const disk = await open(raw, 'w')
  await disk.write(tinySector(), 0, 512, 0)
  await disk.truncate(virtualSizeBytes)
  await disk.close()
  await run('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', raw, path])
  await rm(raw)
  await chmod(path, 0o444)
  const { size, mtimeMs } = await stat(path)
  const sha256 = createHash('sha256')
    .update(await readFile(path))
    .digest('hex')
  return { file, virtualSizeBytes, fingerprint: { sha256, sizeBytes: size, mtimeMs: Math.floor(mtimeMs) } }
}

function tinySector(): Buffer {
  const bytes = assembled(CODE)
  const sector = Buffer.alloc(512)
  bytes.copy(sector)
  assembled(COUNT).copy(sector, COUNT_OFFSET)
  sector.write(READY, bytes.length, 'latin1')
  sector.writeUInt16LE(0xaa55, 510)
  return sector
}

function assembled(listing: string): Buffer {
  const code = listing.split('\n').map((line) => line.split(';')[0] ?? '')
  return Buffer.from(code.join('').replaceAll(/\s/g, ''), 'hex')
}
