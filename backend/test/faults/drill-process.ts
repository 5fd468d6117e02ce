import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { createInterface } from 'node:readline'
import type { LabState } from '../../src/domain/state.js'

export type DrillFact =
  /** It waits for a word; `tid` is the thread that makes its file calls. */
  | { kind: 'ready'; tid: number }
  | { kind: 'booted' }
  /** `outcome`: `done`, or the code of what was thrown. */
  | { kind: 'acted' | 'repeated'; outcome: string; fault: string | null }
  /** What it believes to be kept, at its end. */
  | ({ kind: 'memory' } & Pick<LabState, 'nodes' | 'images' | 'layers'>)
  | { kind: 'ended'; error: string }

export interface Ending {
  how: number | NodeJS.Signals
  facts: DrillFact[]
  stderr: string
}

export interface DrillProcess {
  /** Resolves with the file thread when it waits. Rejects when it ends before. */
  ready: Promise<number>
  go(): void
  ended: Promise<Ending>
  child: ChildProcess
}

export type DrillFrom = 'boot' | 'act' | 'act-again'

/** All of them, so that a harness that fails leaves no process behind. */
const running = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** `program`: the compiled drill.js. */
export function startDrill(program: string, dataDir: string, operation: string, from: DrillFrom): DrillProcess {
  const child = spawn(process.execPath, ['--max-semi-space-size=16', program, dataDir, operation, from], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, NODE_OPTIONS: '', UV_THREADPOOL_SIZE: '1' },
  })
  running.add(child)
  child.stdin.on('error', () => undefined) // it died before it was told to go
  const facts: DrillFact[] = []
  let stderr = ''
  child.stderr.on('data', (chunk: Buffer) => (stderr = (stderr + chunk.toString()).slice(-4000)))
  const ended = once(child, 'close').then(([code, signal]): Ending => {
    running.delete(child)
    return { how: (code ?? signal) as number | NodeJS.Signals, facts, stderr }
  })
  const ready = new Promise<number>((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      const fact = JSON.parse(line) as DrillFact // drill.ts wrote it
      facts.push(fact)
      if (fact.kind === 'ready') resolve(fact.tid)
    })
    void ended.then(({ how }) => reject(new Error(`it ended with ${how} before it was ready: ${stderr}`)))
  })
  return { child, ready, go: () => void child.stdin.write('go\n'), ended }
}

/** The compiled drill beside this file, when this file is compiled too. */
export const DRILL = fileURLToPath(new URL('drill.js', import.meta.url))
