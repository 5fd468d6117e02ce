import { spawn } from 'node:child_process'
import type { Socket } from 'node:net'
import { childEnvironment } from '../system/command-environment.js'
import { EngineError } from './engine.js'

/** An open file, from where it stands, or a socket of which nothing was read yet; that is the copy's alone from here on. */
type End = number | Socket

/** Ends with us, however we end: who finds the guest afterwards finds nobody that still writes. */
const PROGRAM = 'setpriv'
const ARGS = ['--pdeathsig', 'KILL', '--', 'dd', 'bs=1M', 'iflag=fullblock', 'status=none']
const MAX_WORDS = 2000

/**
 * Copies all that comes from one end to the other, by a process of its own: through ours each MiB takes ten times as much
 * of the processor, and what others ask of us waits for it.
 *
 * Rejects with EngineError `no-space`, `engine` (`retry`: it was ended, or could not begin, and neither end is to blame);
 * the file then holds a part. Aborting ends it at once.
 */
export function copyMemory(from: End, to: End, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = begin(from, to)
    const end = () => void child.kill('SIGKILL')
    signal.addEventListener('abort', end, { once: true })
    if (signal.aborted) end()
    let words = ''
    child.stderr?.on('data', (chunk: Buffer) => (words = (words + chunk.toString('utf8')).slice(-MAX_WORDS)))
    child.once('error', (error: NodeJS.ErrnoException) => {
      reject(ended(`could not begin (${error.code === 'ENOENT' ? `${PROGRAM} is not installed` : error.code})`, error))
    })
    child.once('close', (code, by) => {
      signal.removeEventListener('abort', end)
      if (code === 0) resolve()
      else if (signal.aborted) reject(ended('was given up'))
      else reject(by === null || by === 'SIGPIPE' ? failureOf(words.trim()) : ended(`was ended by ${by}`))
    })
  })
}

function begin(from: End, to: End) {
  try {
    // Detached: a Ctrl-C at our terminal is for us to answer.
    return spawn(PROGRAM, ARGS, { stdio: [from, to, 'pipe'], env: childEnvironment(), detached: true })
  } catch (error) {
    throw ended('could not begin', error) // a socket that has closed meanwhile has no descriptor
  } finally {
    for (const end of [from, to]) if (typeof end !== 'number') end.destroy() // the child has its own by now
  }
}

function failureOf(words: string): EngineError {
  if (/No space left|Disk quota|File too large/.test(words)) return diskFull()
  return new EngineError('engine', `The guest's memory could not be copied: ${words || 'nobody took it'}.`)
}

function ended(how: string, cause?: unknown): EngineError {
  return new EngineError('engine', `The copy of the guest's memory ${how}.`, { retry: true, cause })
}

export function diskFull(): EngineError {
  return new EngineError('no-space', "The host's disk is full.")
}
