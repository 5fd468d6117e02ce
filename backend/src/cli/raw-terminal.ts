import { spawnSync } from 'node:child_process'
import type { Io } from './io.js'
import { oneLine, paint } from './text.js'

/** The person's terminal while a console is attached: every key goes to us, every byte of the guest to it. */
export interface RawTerminal {
  size(): { columns: number; rows: number }
  /** `drawn` is called when the terminal has taken the bytes. */
  draw(bytes: Buffer, drawn?: () => void): void
  /** A line of our own between the guest's. */
  note(text: string): void
  /** As `note`, in red: not to be missed. */
  alarm(text: string): void
  /** As it was before. Safe to call again. */
  restore(): void
}

export interface TerminalListener {
  typed(bytes: Buffer): void
  resized(): void
  /** Nobody types any more: the terminal is gone. */
  gone(): void
}

/** What a program in the guest may have switched on and would now disturb the person's own shell. */
const UNDO_GUEST_MODES = [
  '\u001B[?1000l\u001B[?1002l\u001B[?1003l\u001B[?1006l', // mouse reports
  '\u001B[?2004l', // bracketed paste
  '\u001B[?1l\u001B>', // application cursor keys and keypad
  '\u001B[?25h', // hidden cursor
  '\u001B[0m', // colours
].join('')
// oxlint-disable-next-line no-control-regex -- an escape sequence
const ALTERNATE_SCREEN = /\u001B\[\?(?:1049|1047|47)([hl])/g
const LEAVE_ALTERNATE_SCREEN = '\u001B[?1049l'
const CARRY_BYTES = 8

/** Takes the terminal over until `restore`, which also runs when the process ends in any other way that it can see. */
export function takeTerminal(io: Io, listener: TerminalListener): RawTerminal {
  const { stdin, stdout } = io
  let restored = false
  let inAlternateScreen = false
  let carry = ''

  const onData = (chunk: Buffer | string) => listener.typed(Buffer.from(chunk as string))
  const onResize = () => listener.resized()
  const onEnd = () => listener.gone()

  const watchScreen = (bytes: Buffer) => {
    const text = carry + bytes.toString('latin1')
    const last = [...text.matchAll(ALTERNATE_SCREEN)].at(-1)
    if (last) inAlternateScreen = last[1] === 'h'
    carry = text.slice(-CARRY_BYTES)
  }

  const restore = () => {
    if (restored) return
    restored = true
    process.off('exit', restore)
    stdin.off('data', onData)
    stdin.off('end', onEnd)
    stdin.off('error', onEnd)
    stdout.off('resize', onResize)
    stdin.setRawMode?.(false)
    stdin.pause()
    stdout.write(`${inAlternateScreen ? LEAVE_ALTERNATE_SCREEN : ''}${UNDO_GUEST_MODES}`)
  }

  process.on('exit', restore)
  stdin.setRawMode?.(true)
  // Node's raw mode still turns a bare line feed into a new line, which breaks what full-screen programs draw. The
  // restoring call of `setRawMode` undoes this as well; without stty only the drawing suffers.
  spawnSync('stty', ['-opost'], { stdio: ['inherit', 'ignore', 'ignore'], timeout: 2000 })
  stdin.on('data', onData)
  stdin.on('end', onEnd)
  stdin.on('error', onEnd)
  stdout.on('resize', onResize)
  stdin.resume()

  const say = (style: Parameters<typeof paint>[2], text: string) =>
    void stdout.write(`\r\n${paint(io, stdout, style, ' sandlabx ')} ${text}\r\n`)

  return {
    size: () => ({ columns: clamp(stdout.columns || 80), rows: clamp(stdout.rows || 24) }),
    draw(bytes, drawn) {
      watchScreen(bytes)
      stdout.write(bytes, () => drawn?.())
    },
    note: (text) => say('inverse', oneLine(text)),
    alarm: (text) => say(['inverse', 'red'], paint(io, stdout, ['bold', 'red'], oneLine(text))),
    restore,
  }
}

/** The protocol's limits for a size. */
function clamp(cells: number): number {
  return Math.min(1000, Math.max(2, cells))
}
