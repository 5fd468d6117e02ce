import { execFile } from 'node:child_process'
import { randomBytes, randomInt } from 'node:crypto'
import { once } from 'node:events'
import { cp, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { clientOf, type Client } from '../support/lab.js'
import { untilSeen } from '../support/until.js'

const run = promisify(execFile)
const REPOSITORY = join(import.meta.dirname, '../../..')
/** One for all test stacks: layers that are there are not built again. */
export const IMAGE = 'sandlabx/backend:test'

/** For who works on a test: the image is there already, and the stacks are opened without building it. */
const IS_BUILT = process.env['SANDLABX_TEST_BUILT'] === 'true'

export interface Ended {
  exitCode: number
  stdout: string
  stderr: string
}

/** The project's own files in a folder of their own, and a real engine that runs them. */
export interface Stack {
  /** Holds docker-compose.yml, `overlays/` and `images/`. */
  folder: string
  project: string
  url: string
  /** `docker compose …` in that folder; never throws. */
  tryCompose(...args: string[]): Promise<Ended>
  /** The same; fails when it does. */
  compose(...args: string[]): Promise<string>
  /** Lines as somebody pastes them into a shell in that folder; `docker compose` there means this project. */
  shell(lines: string): Promise<string>
  /** In the backend's container, as its administrator. */
  sandlabx(...args: string[]): Promise<string>
  /** Builds the image and brings the stack up for the first time. */
  open(): Promise<void>
  /** `up -d`; resolves when the backend is ready, with the milliseconds that it took. */
  up(...args: string[]): Promise<number>
  ready(withinMs?: number): Promise<void>
  /** As the administrator, by the token in the state's volume. */
  administrator(): Promise<Client>
  /** The container of a service, now. */
  container(service: string): Promise<string>
  /** Takes containers, networks, volumes and the folder away. */
  remove(): Promise<void>
}

export interface StackOptions {
  /** Of another stack: the two then have one folder. */
  folder?: string
  environment?: Record<string, string>
}

/** Throws, with what to do, when no engine answers: the Compose tests never pass by being left out. */
export async function requireEngine(): Promise<void> {
  await run('docker', ['compose', 'version']).catch((error: unknown) => {
    throw new Error('The Compose tests need Docker Engine and Compose v2; `docker compose version` fails.', {
      cause: error,
    })
  })
  await run('docker', ['info']).catch((error: unknown) => {
    throw new Error('The Compose tests need a Docker Engine that answers: `docker info` fails.', { cause: error })
  })
}

export async function openStack(options: StackOptions = {}): Promise<Stack> {
  const project = `sandlabx-test-${randomBytes(4).toString('hex')}`
  const folder = options.folder ?? (await copyOfRepository())
  const port = await quietPort()
  const url = `http://127.0.0.1:${port}`
  const env = { ...process.env, SANDLABX_PORT: String(port), SANDLABX_IMAGE: IMAGE, ...options.environment }
  const tryCompose = async (...args: string[]): Promise<Ended> => {
    const all = ['compose', '--progress', 'plain', '-p', project, ...args]
    return run('docker', all, { cwd: folder, env, maxBuffer: 64 * 1024 ** 2 }).then(
      (said) => ({ exitCode: 0, ...said }),
      (error: unknown) => {
        // execFile's own error: what the program said is on it
        const { code, stdout = '', stderr = '' } = error as { code?: number; stdout?: string; stderr?: string }
        return { exitCode: code ?? 1, stdout, stderr }
      },
    )
  }
  const compose = async (...args: string[]) => {
    const ended = await tryCompose(...args)
    if (ended.exitCode === 0) return ended.stdout
    const log = (await tryCompose('logs', '--tail=40', 'backend')).stdout
    throw new Error(`docker compose ${args.join(' ')} ended with ${ended.exitCode}:\n${ended.stderr}\n${log}`)
  }
  const ready = (withinMs = 120_000) =>
    untilSeen(
      `the backend at ${url}`,
      async () =>
        fetch(`${url}/api/health/ready`, { signal: AbortSignal.timeout(5000) }).then(
          ({ ok }) => ok,
          () => false,
        ),
      withinMs,
    ).then(() => undefined)
  const up = async (...args: string[]) => {
    const began = performance.now()
    await compose('up', '-d', ...args)
    await ready()
    return performance.now() - began
  }
  return {
    folder,
    project,
    url,
    tryCompose,
    compose,
    ready,
    shell: async (lines) =>
      (await run('bash', ['-euc', lines], { cwd: folder, env: { ...env, COMPOSE_PROJECT_NAME: project } })).stdout,
    sandlabx: (...args) => compose('exec', '-T', 'backend', 'sandlabx', ...args),
    up,
    open: async () => void (await up(...(IS_BUILT ? ['--no-build'] : ['--build']))),
    async administrator() {
      const token = await compose('exec', '-T', 'backend', 'cat', '/app/state/local-token')
      return clientOf(url, { authorization: `Bearer ${token.trim()}` })
    },
    container: async (service) => (await compose('ps', '-q', '--all', service)).trim(),
    async remove() {
      await tryCompose('--profile', '*', 'down', '-v', '--remove-orphans', '--timeout', '5')
      if (options.folder === undefined) await rm(folder, { recursive: true, force: true })
    },
  }
}

/** The first and last of those that no system gives to outgoing connections: a stack goes and comes back to its port. */
const [FIRST_PORT, LAST_PORT] = [20_000, 29_999]

async function quietPort(): Promise<number> {
  for (;;) {
    const server = createServer().listen(randomInt(FIRST_PORT, LAST_PORT + 1), '127.0.0.1')
    const isFree = await new Promise((resolve) => {
      server.once('listening', () => resolve(true)).once('error', () => resolve(false))
    })
    if (!isFree) continue
    const { port } = server.address() as AddressInfo // it listens on TCP
    server.close()
    await once(server, 'close')
    return port
  }
}

/** What git knows, as it lies here now: the files that a user has, and no data of this machine. */
async function copyOfRepository(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'sandlabx-compose-'))
  const list = ['ls-files', '-z', '--cached', '--others', '--exclude-standard']
  const { stdout } = await run('git', list, { cwd: REPOSITORY, maxBuffer: 64 * 1024 ** 2 })
  for (const name of stdout.split('\0').filter((one) => one !== '')) {
    await mkdir(dirname(join(folder, name)), { recursive: true })
    await cp(join(REPOSITORY, name), join(folder, name), { preserveTimestamps: true }).catch((error: unknown) => {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error // deleted, and not yet told to git
    })
  }
  return folder
}

/** `docker …` to its end; fails when it does. */
export async function docker(...args: string[]): Promise<string> {
  return (await run('docker', args, { maxBuffer: 64 * 1024 ** 2 })).stdout.trim()
}
