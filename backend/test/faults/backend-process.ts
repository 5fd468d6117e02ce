import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { Agent, request } from 'node:http'
import { createInterface } from 'node:readline'

/** A whole backend in a process of its own, over real HTTP, and its owner's credential. */
export interface BackendProcess {
  pid: number
  /** From its start until it answers. */
  readyMs: number
  send(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<HttpAnswer>
  kill(signal: NodeJS.Signals): Promise<void>
}

export interface HttpAnswer {
  status: number
  // Answers of many shapes; each use says what it wants.
  // oxlint-disable-next-line typescript/no-explicit-any
  body: any
}

export interface BackendPlace {
  /** The compiled main.js. */
  main: string
  dataDir: string
  databaseUrl: string
}

const START_TIMEOUT_MS = 120_000

/** All of them, so that a harness that fails leaves no process behind. */
const running = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** Starts one and waits until it answers. Rejects with its exit code and words when it ends instead. */
export async function startBackendProcess(place: BackendPlace): Promise<BackendProcess> {
  const began = performance.now()
  const { child, ended, stderr } = spawnBackend(place)
  const url = await new Promise<string>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`the backend does not start: ${stderr()}`)), START_TIMEOUT_MS)
    createInterface({ input: child.stdout }).on('line', (line) => {
      const found = / listens on (\S+)/.exec(line)?.[1]
      if (found === undefined) return
      clearTimeout(timer)
      resolve(found)
    })
    void ended.then((how) => reject(new Error(`the backend ended with ${how}: ${stderr()}`)))
  })
  const readyMs = performance.now() - began
  const token = (await readFile(`${place.dataDir}/state/local-token`, 'utf8')).trim()
  const agent = new Agent({ keepAlive: true, maxSockets: 400 })
  return {
    pid: child.pid ?? 0,
    readyMs,
    send: (method, path, body, headers = {}) =>
      send(agent, new URL(path, url), method, body, { authorization: `Bearer ${token}`, ...headers }),
    async kill(signal) {
      child.kill(signal)
      await ended
      agent.destroy()
    },
  }
}

/** Starts one that is expected to end by itself. */
export async function exitOfBackend(place: BackendPlace): Promise<{ how: number | string; stderr: string }> {
  const { ended, stderr } = spawnBackend(place)
  return { how: await ended, stderr: stderr() }
}

function spawnBackend({ main, dataDir, databaseUrl }: BackendPlace) {
  const child = spawn(process.execPath, [main], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      NODE_OPTIONS: '',
      SANDLABX_DATA: dataDir,
      SANDLABX_PORT: '0',
      SANDLABX_LOG_LEVEL: 'error',
      SANDLABX_ACCELERATOR: 'tcg',
      SANDLABX_REQUESTS_PER_MINUTE: '1000000',
      SANDLABX_GROWTH_RESERVE_MIB: '1',
      SANDLABX_STOP_GRACE_SECONDS: '1',
      DATABASE_URL: databaseUrl,
    },
  })
  running.add(child)
  child.once('close', () => running.delete(child))
  let text = ''
  child.stderr.on('data', (chunk: Buffer) => (text = (text + chunk.toString()).slice(-8000)))
  const ended = once(child, 'close').then(([code, signal]) => (code ?? signal) as number | string)
  return { child, ended, stderr: () => text }
}

function send(
  agent: Agent,
  url: URL,
  method: string,
  body: unknown,
  headers: Record<string, string>,
): Promise<HttpAnswer> {
  const text = body === undefined ? undefined : JSON.stringify(body)
  return new Promise((resolve, reject) => {
    const sent = request(
      url,
      {
        agent,
        method,
        headers: {
          ...headers,
          ...(text === undefined
            ? {}
            : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }),
        },
      },
      (answer) => {
        let received = ''
        answer.setEncoding('utf8').on('data', (chunk: string) => (received += chunk))
        answer.on('end', () => {
          resolve({ status: answer.statusCode ?? 0, body: received.startsWith('{') ? JSON.parse(received) : received })
        })
        answer.on('error', reject)
      },
    )
    sent.on('error', reject)
    sent.end(text)
  })
}
