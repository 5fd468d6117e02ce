import { connect } from 'node:net'

/** A guacd somewhere, and whether it answers. */
export interface Guacd {
  readonly host: string
  readonly port: number
  /** What is known; looked at every few seconds. */
  readonly answers: boolean
  /** Looks now, unless somebody did within the last second. At most 2 s. */
  look(): Promise<boolean>
  onChange(listener: (answers: boolean) => void): void
  close(): void
}

const TIMEOUT_MS = 1000
const FRESH_MS = 1000
const INTERVAL_MS = 5000

export function watchGuacd(address: { host: string; port: number }, intervalMs = INTERVAL_MS): Guacd {
  const listeners = new Set<(answers: boolean) => void>()
  let answers = false
  let looked: { atMs: number; result: Promise<boolean> } | undefined

  async function lookNow(): Promise<boolean> {
    const found = await guacdAnswers(address)
    if (found !== answers) {
      answers = found
      for (const listener of listeners) listener(found)
    }
    return found
  }

  function look(): Promise<boolean> {
    if (looked && performance.now() - looked.atMs < FRESH_MS) return looked.result
    looked = { atMs: performance.now(), result: lookNow() }
    return looked.result
  }

  void look()
  const timer = setInterval(() => void look(), intervalMs).unref()
  return {
    ...address,
    get answers() {
      return answers
    },
    look,
    onChange: (listener) => void listeners.add(listener),
    close: () => clearInterval(timer),
  }
}

/**
 * Whether a guacd answers there, and not only the kernel for one that is stopped: guacd hangs up on a client that hangs
 * up, without a line in its log. A child of guacd's that was made in that moment may hold the connection open; so then it
 * is asked for its arguments, which costs it a process.
 */
export async function guacdAnswers(address: { host: string; port: number }, timeoutMs = TIMEOUT_MS): Promise<boolean> {
  const first = await exchange(address, '', timeoutMs)
  if (first !== 'silent') return first === 'heard'
  return (await exchange(address, '6.select,3.vnc;', timeoutMs)) === 'heard'
}

/** Says `text` and hangs up; with a text `heard` is an answer that is guacd's, without one the other side's hanging up. */
function exchange(address: { host: string; port: number }, text: string, timeoutMs: number) {
  return new Promise<'heard' | 'silent' | 'absent'>((resolve) => {
    const socket = connect({ ...address, allowHalfOpen: true })
    let isConnected = false
    const end = (result: 'heard' | 'silent' | 'absent') => {
      clearTimeout(timer)
      socket.destroy()
      resolve(result)
    }
    const timer = setTimeout(() => end(isConnected ? 'silent' : 'absent'), timeoutMs)
    socket.once('connect', () => {
      isConnected = true
      if (text === '') socket.end()
      else socket.write(text)
    })
    socket.once('error', () => end('absent'))
    socket.on('data', (chunk: Buffer) =>
      end(text !== '' && chunk.toString('latin1').startsWith('4.args,') ? 'heard' : 'absent'),
    )
    socket.once('end', () => end(text === '' ? 'heard' : 'absent'))
  })
}
