import { type ChildProcess, spawn } from 'node:child_process'
import { chmod, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { untilSeen } from './until.js'
import { existsSync } from 'node:fs'

/** Puts each key that it reads on the screen, with no cursor that blinks: what changes in the picture is an answer. */
const ECHOING = '31c0 8ed8 8ed0 bc007c fb  b401 b520 cd10  30e4 cd16 b40e cd10 ebf6'
/** Fills the screen with letters without end: a picture that never rests. */
const PAINTING = '31c0 8ed8 8ed0 bc007c fb  b041 fec0 247f b40e cd10 ebf6'

/**
 * Text mode; says its prompt, puts what is typed behind it, and after Enter begins anew. Keyboard and serial line are one:
 * what comes from either is seen on both. A key that is no letter is shown as `^W` is.
 */
const PROMPTING = [
  '31c0 8ed8 8ed0 bc007c fb  b80300 cd10  be807c ac 84c0 7406 e83b00 ebf6', // the text at 0x80, letter by letter
  'f4 b401 cd16 750e  bafd03 ec a801 74f1 baf803 ec eb04  b400 cd16', // waits for a key or a byte
  '3c0d 7412 3c20 7309 50 b05e e81200 58 0440 e80c00 ebd2', // shows it
  'e80700 b00a e80200 ebba', // Enter
  '50 b40e bb0700 cd10 bafd03 ec a820 74fb 58 baf803 ee c3', // one letter, on the screen and on the line
].join('')

/** A disk for a node, raw, whose guest is a login prompt and nothing behind it. */
export function promptDisk(prompt: string): Buffer {
  const disk = Buffer.alloc(1024 * 1024)
  bootSector(PROMPTING).copy(disk)
  disk.write(`${prompt}\0`, 0x80, 'latin1')
  return disk
}

function bootSector(code: string): Buffer {
  const sector = Buffer.alloc(512)
  Buffer.from(code.replaceAll(' ', ''), 'hex').copy(sector)
  sector.writeUInt16LE(0xaa55, 510)
  return sector
}

export interface EchoGuest {
  /** The unix socket of its VNC server; anybody may connect. */
  readonly vnc: string
  end(): Promise<void>
}

/** QEMU with a boot sector of a few bytes: nothing in a guest could answer a key sooner. */
export async function startEchoGuest(folder: string, what: 'echoing' | 'painting' = 'echoing'): Promise<EchoGuest> {
  const [disk, vnc] = [join(folder, 'boot.img'), join(folder, 'vnc')]
  await writeFile(disk, bootSector(what === 'echoing' ? ECHOING : PAINTING))
  const machine = '-nodefaults -no-user-config -display none -accel tcg -m 16 -snapshot -device VGA'.split(' ')
  const files = ['-drive', `file=${disk},format=raw,if=ide`, '-vnc', `unix:${vnc},share=force-shared`]
  const qemu: ChildProcess = spawn('qemu-system-x86_64', [...machine, ...files], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  await untilSeen('the guest’s screen', async () => existsSync(vnc))
  await chmod(vnc, 0o666)
  return {
    vnc,
    async end() {
      const ended = new Promise((resolve) => qemu.once('exit', resolve))
      if (qemu.exitCode === null && qemu.signalCode === null && qemu.kill('SIGKILL')) await ended
    },
  }
}
