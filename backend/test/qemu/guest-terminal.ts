import { connect, type Socket } from 'node:net'

const ESCAPE = '\u001b'
/** What a terminal answers when it is asked where its cursor is; ours has 40 lines of 120 columns. */
const ASKS_SIZE = `${ESCAPE}[6n`
const ANSWER = `${ESCAPE}[40;120R`
/** Colours, cursor movements, window titles: nothing that a person reads. */
const DRESSING = new RegExp(`${ESCAPE}(\\[[?\\d;]*[a-zA-Z]|\\][^\u0007]*\u0007|[78])|\r`, 'g')
const DEFAULT_TIMEOUT_MS = 90_000

/** A person at the serial line of a guest. What was waited for is used up; the rest stays to be waited for. */
export interface GuestTerminal {
  /** Resolves with all text up to the end of the match. Rejects with what came instead. */
  waitFor(pattern: RegExp, timeoutMs?: number): Promise<string>
  type(text: string): void
  signIn(user: string, password: string): Promise<void>
  /** Runs a command in the shell and gives back what it printed. */
  run(command: string, timeoutMs?: number): Promise<string>
  close(): void
}

export async function openTerminal(path: string): Promise<GuestTerminal> {
  const socket = await connected(path)
  socket.setEncoding('utf8')
  let seen = ''
  let arrived = () => {}
  socket.on('data', (chunk: string) => {
    const parts = (seen + chunk).split(ASKS_SIZE) // the question may come in two chunks
    seen = parts.join('').replaceAll(DRESSING, '')
    socket.write(ANSWER.repeat(parts.length - 1))
    arrived()
  })
  socket.on('close', () => arrived())

  const terminal: GuestTerminal = {
    async waitFor(pattern, timeoutMs = DEFAULT_TIMEOUT_MS) {
      const deadline = Date.now() + timeoutMs
      for (;;) {
        const match = pattern.exec(seen)
        if (match) {
          const end = match.index + match[0].length
          const text = seen.slice(0, end)
          seen = seen.slice(end)
          return text
        }
        const left = deadline - Date.now()
        if (left <= 0 || socket.destroyed)
          throw new Error(`No ${pattern} on the serial line; there is:\n${seen.slice(-3000)}`)
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, left)
          arrived = () => {
            clearTimeout(timer)
            resolve()
          }
        })
      }
    },
    type: (text) => void socket.write(text),
    async signIn(user, password) {
      await terminal.waitFor(/login: $/)
      terminal.type(`${user}\r`)
      await terminal.waitFor(/Password: $/)
      terminal.type(`${password}\r`)
      await terminal.waitFor(/[$#] $/)
    },
    async run(command, timeoutMs) {
      // The quotes keep the echo of the line from looking like the end of its output.
      terminal.type(`echo beg""in; ${command}; echo e""nd $?\r`)
      await terminal.waitFor(/(^|\n)begin\n/, timeoutMs)
      const output = await terminal.waitFor(/(^|\n)end \d+\n/, timeoutMs)
      return output.replace(/end \d+\n$/, '').trim()
    },
    close: () => socket.destroy(),
  }
  return terminal
}

function connected(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(path)
    socket.once('connect', () => resolve(socket))
    socket.once('error', reject)
  })
}
