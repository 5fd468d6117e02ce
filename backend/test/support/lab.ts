import { mkdtemp, rm } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { PoolConfig } from 'pg'
import { startBackend, type Backend } from '../../src/backend.js'
import { readConfig } from '../../src/config.js'
import type { Role } from '../../src/domain/user.js'
import { createFakeEngine, type FakeEngine } from '../../src/hosts/fake-engine.js'
import { addTestImage } from './test-image.js'
import { startTestPostgres } from './postgres.js'

export interface TestLab {
  backend: Backend
  engine: FakeEngine
  dataDir: string
  url: string
  /** Somebody with an API token of this role; a new account each time. */
  person(role: Role, login?: string): Promise<Person>
  anonymous: Client
  close(): Promise<void>
}

export interface Person extends Client {
  id: string
  login: string
  token: string
}

export interface Answer {
  status: number
  headers: Headers
  // Tests read answers of many shapes; each expectation says what it wants.
  // oxlint-disable-next-line typescript/no-explicit-any
  body: any
}

export interface Client {
  send(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>
}

export interface TestLabOptions {
  dataDir?: string
  engine?: FakeEngine
  environment?: Record<string, string>
  pageFolder?: string
  /** Leaves the folder in place on close; for tests that start it again. */
  keep?: boolean
}

/** A real server on port 0 with a real PostgreSQL and real files; only the engine is a fake. */
export async function startTestLab(options: TestLabOptions = {}): Promise<TestLab> {
  const dataDir = options.dataDir ?? (await mkdtemp(join(tmpdir(), 'sandlabx-test-')))
  const database = await startTestPostgres()
  const config = readConfig({
    SANDLABX_DATA: dataDir,
    SANDLABX_PORT: '0',
    SANDLABX_LOG_LEVEL: 'silent',
    SANDLABX_REQUESTS_PER_MINUTE: '1000000',
    SANDLABX_STOP_GRACE_SECONDS: '1',
    DATABASE_URL: databaseUrl(database.connection),
    ...options.environment,
  })
  const engine = options.engine ?? createFakeEngine({ layout: config.layout })
  const backend = await startBackend({ config, version: '0.0.0-test', pageFolder: options.pageFolder, engine })
  const { port } = backend.http.address() as AddressInfo // it listens on TCP
  const url = `http://127.0.0.1:${port}`
  let count = 0
  return {
    backend,
    engine,
    dataDir,
    url,
    anonymous: clientOf(url, {}),
    async person(role, login = `${role.slice(0, 4)}${(count += 1)}`) {
      const { accounts, tokens, directory } = backend.services
      const { user } = await accounts.create({ login, displayName: login, role, password: `password of ${login}` })
      const settled = await accounts.setPassword(user.id, `password of ${login}`, {
        mustChange: false,
        keepCredentialId: null,
      })
      directory.set(settled)
      const { token } = await tokens.create({ userId: user.id, name: 'test' })
      return { ...clientOf(url, { authorization: `Bearer ${token}` }), id: user.id, login, token }
    },
    async close() {
      await backend.close()
      await database.stop()
      if (options.keep !== true) await rm(dataDir, { recursive: true, force: true })
    },
  }
}

/** As `DATABASE_URL` has it: a server on a unix socket. */
export function databaseUrl({ user, password, database, host, port }: PoolConfig): string {
  const url = new URL('postgresql://localhost')
  url.username = user ?? ''
  url.password = typeof password === 'string' ? password : ''
  url.pathname = database ?? ''
  url.searchParams.set('host', host ?? '')
  if (port !== undefined) url.searchParams.set('port', String(port))
  return url.href.replace('@localhost', '@')
}

export function clientOf(url: string, base: Record<string, string>): Client {
  return {
    async send(method, path, body, headers = {}) {
      const response = await fetch(url + path, {
        method,
        headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...base, ...headers },
        ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      })
      const text = await response.text()
      const json = response.headers.get('content-type')?.startsWith('application/json') === true
      return { status: response.status, headers: response.headers, body: json ? JSON.parse(text) : text }
    },
  }
}

export { addTestImage }
