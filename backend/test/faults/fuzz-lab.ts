import { fork, type ChildProcess } from 'node:child_process'
import type { BackendFacts, BackendMemory, BackendQuestion } from './fuzz-backend.js'
import { compileProgram } from './fuzz-program.js'

/** The backend under test, in a process of its own. */
export interface FuzzLab extends BackendFacts {
  memory(): Promise<BackendMemory>
  /** A new sign-in's cookie. */
  session(): Promise<string>
  /** Ids of nodes that exist now. */
  nodes(): Promise<string[]>
  /** Undefined while it lives. */
  readonly exit: string | undefined
  /** The newest lines of its log; only errors are logged. */
  readonly complaints: string[]
  close(): Promise<void>
}

const START_TIMEOUT_MS = 60_000
const ANSWER_TIMEOUT_MS = 30_000
const KEPT_LINES = 200

export async function startFuzzLab(): Promise<FuzzLab> {
  const program = await compileProgram()
  const child = fork(program.path('test/faults/fuzz-backend.js'), [], {
    execArgv: ['--expose-gc'],
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  })
  const complaints: string[] = []
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      complaints.push(...text.split('\n').filter((line) => line !== ''))
      complaints.splice(0, complaints.length - KEPT_LINES)
    })
  }
  let exit: string | undefined
  const ended = new Promise<void>((resolve) =>
    child.once('exit', (code, signal) => {
      exit = signal ?? `exit code ${code}`
      resolve()
    }),
  )
  const ask = <T>(question: BackendQuestion) => {
    if (exit !== undefined) return Promise.reject(new Error(`the backend is gone: ${exit}`))
    child.send(question)
    return told<T>(child, question, ANSWER_TIMEOUT_MS)
  }
  try {
    const facts = await told<BackendFacts>(child, 'ready', START_TIMEOUT_MS)
    return {
      ...facts,
      memory: () => ask('memory'),
      session: () => ask('session'),
      nodes: () => ask('nodes'),
      get exit() {
        return exit
      },
      complaints,
      async close() {
        if (exit === undefined) child.send('close')
        await ended
        await program.remove()
      },
    }
  } catch (error) {
    child.kill('SIGKILL')
    await program.remove()
    throw new Error(`the backend did not start: ${complaints.join('\n')}`, { cause: error })
  }
}

/** The message with this name. */
function told<T>(child: ChildProcess, name: string, timeoutMs: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => end(new Error(`no word of "${name}" within ${timeoutMs} ms`)), timeoutMs)
    const gone = () => end(new Error(`it ended before "${name}"`))
    const hear = (message: Record<string, unknown>) => {
      if (name in message) end(undefined, message[name] as T) // each answer has its question's name
    }
    function end(error: Error | undefined, value?: T): void {
      clearTimeout(timer)
      child.off('exit', gone)
      child.off('message', hear)
      if (error) reject(error)
      else resolve(value as T) // given whenever there is no error
    }
    child.once('exit', gone)
    child.on('message', hear)
  })
}
