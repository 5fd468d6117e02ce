import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'

const LAUNCHER = fileURLToPath(new URL('../../../sandlabx', import.meta.url))

export interface LabProcess {
  url: string
  login: string | undefined
  password: string | undefined
  child: ChildProcess
  /** Everything that it printed so far. */
  output(): string
  /** Ctrl-C, and wait. */
  interrupt(): Promise<void>
}

/** What a person types: `./sandlabx up`, until it prints the address. */
export function up(dataDir: string, port: number, ...more: string[]): Promise<LabProcess> {
  return upWith({}, dataDir, port, ...more)
}

/** The same, in an environment with these variables as well. */
export async function upWith(
  environment: Record<string, string>,
  dataDir: string,
  port: number,
  ...more: string[]
): Promise<LabProcess> {
  const child = spawn(LAUNCHER, ['up', '--data', dataDir, '--port', String(port), ...more], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...environment },
  })
  let output = ''
  const ready = new Promise<void>((resolve, reject) => {
    const read = (chunk: Buffer) => {
      output += chunk.toString()
      if (/SandLabX is ready[\s\S]*Address/.test(output)) setTimeout(resolve, 50) // the lines below come at once
    }
    child.stdout.on('data', read)
    child.stderr.on('data', read)
    child.once('exit', (code) => reject(new Error(`./sandlabx up ended with ${code}:\n${output}`)))
  })
  await ready
  return {
    url: /Address\s+(\S+)/.exec(output)?.[1] ?? '',
    login: /Login\s+(\S+)/.exec(output)?.[1],
    password: /Password\s+(\S+)/.exec(output)?.[1],
    child,
    output: () => output,
    async interrupt() {
      if (child.exitCode !== null) return
      child.kill('SIGINT')
      await once(child, 'exit')
    },
  }
}

/** Any other verb, to its end. */
export async function sandlabx(
  dataDir: string,
  ...args: string[]
): Promise<{ exitCode: number; stdout: string; stderr: string }> {
  const child = spawn(LAUNCHER, [...args, '--data', dataDir], { stdio: ['ignore', 'pipe', 'pipe'] })
  const output = { stdout: '', stderr: '' }
  child.stdout.on('data', (chunk: Buffer) => (output.stdout += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (output.stderr += chunk.toString()))
  const [exitCode] = (await once(child, 'close')) as [number]
  return { exitCode, ...output }
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo // it listens on TCP
  server.close()
  await once(server, 'close')
  return port
}
