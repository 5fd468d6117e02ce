import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { z } from 'zod'
import { SandlabError } from './domain/error.js'
import { layoutOf, type Layout } from './domain/layout.js'

const flag = z.enum(['true', 'false']).transform((text) => text === 'true')

/** Every variable that SandLabX reads. `z.coerce` turns the environment's text into numbers. */
const environmentSchema = z.object({
  /** Folder of `images/ overlays/ state/ run/`; the clone itself when run from one. */
  SANDLABX_DATA: z.string().min(1),
  SANDLABX_HOST: z.string().min(1).default('127.0.0.1'),
  SANDLABX_PORT: z.coerce.number().int().min(0).max(65_535).default(3001),
  /** Base addresses under which browsers reach it, comma-separated; the Host header's own is always allowed. */
  SANDLABX_ORIGINS: z.string().default(''),
  /** Take the client's address and scheme from a reverse proxy's X-Forwarded headers. */
  SANDLABX_TRUST_PROXY: flag.default(false),
  SANDLABX_LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info'),
  SANDLABX_ACCELERATOR: z.enum(['auto', 'kvm', 'tcg']).default('auto'),
  SANDLABX_CPU_OVERCOMMIT: z.coerce.number().min(1).max(256).default(16),
  SANDLABX_MEMORY_OVERCOMMIT: z.coerce.number().min(0.1).max(16).default(1),
  SANDLABX_MEMORY_RESERVE_MIB: z.coerce.number().int().min(0).default(1024),
  /** Room that each new overlay must find on the disk. */
  SANDLABX_GROWTH_RESERVE_MIB: z.coerce.number().min(0).default(16),
  SANDLABX_STUDENT_NODES: z.coerce.number().int().min(0).default(10),
  SANDLABX_STOP_GRACE_SECONDS: z.coerce.number().min(0).max(600).default(60),
  /** What becomes of running nodes when SandLabX is told to end; `keep`: they run on, and are adopted. */
  SANDLABX_ON_STOP: z.enum(['suspend', 'shutdown', 'keep']).default('keep'),
  /** How long that may take; a container's stop grace period must be longer. */
  SANDLABX_ON_STOP_SECONDS: z.coerce.number().min(0).max(3600).default(150),
  SANDLABX_REQUESTS_PER_MINUTE: z.coerce.number().int().min(1).default(3000),
  SANDLABX_UPLOAD_MAX_GIB: z.coerce.number().min(0.001).default(64),
  /** An administrator may import files from these folders of the server, comma-separated. */
  SANDLABX_IMPORT_FOLDERS: z.string().default(''),
  STATE_FILE: z.string().optional(),
  OVERLAYS_PATH: z.string().optional(),
  IMAGES_PATH: z.string().optional(),
  RUN_PATH: z.string().optional(),
  /** The path under which a reverse proxy shows it, such as /lab; whether the proxy takes it off or not. */
  SANDLABX_BASE_PATH: z
    .string()
    .regex(/^\/?$|^(?:\/[\w.-]+)+\/?$/, 'A path such as /lab')
    .transform((path) => path.replace(/\/$/, ''))
    .default(''),
  /** Folders, comma-separated, without whose mounts it does not start: in a container, where they would be lost with it. */
  SANDLABX_MUST_BE_MOUNTED: z.string().default(''),
  /** The socket of the broker (`compose.isolated.yml`); with it each node's QEMU is in a container of its own. */
  SANDLABX_BROKER: z.string().min(1).optional(),
  /** An external PostgreSQL; without it one is started under `state/postgres`. */
  DATABASE_URL: z.string().optional(),
  /** Where a guacd for the screens may be, `host:port`; `none`: screens are always shown directly. */
  SANDLABX_GUACD: z
    .string()
    .regex(/^(none|[^:\s]+:\d{1,5}|\[[0-9a-f:]+\]:\d{1,5})$/i, 'must be host:port, or none')
    .optional(),
  /** The same from its parts, with the password in a file; for Compose, whose secrets are files. */
  DATABASE_HOST: z.string().min(1).optional(),
  DATABASE_PORT: z.coerce.number().int().min(1).max(65_535).default(5432),
  DATABASE_NAME: z.string().min(1).default('sandlabx'),
  DATABASE_USER: z.string().min(1).default('sandlabx'),
  DATABASE_PASSWORD_FILE: z.string().min(1).optional(),
})
type Environment = z.infer<typeof environmentSchema>

export interface Config {
  dataDir: string
  layout: Layout
  host: string
  port: number
  origins: string[]
  trustProxy: boolean
  logLevel: string
  accelerator: 'auto' | 'kvm' | 'tcg'
  cpuOvercommit: number
  memoryOvercommit: number
  memoryReserveMib: number
  growthReserveBytes: number
  studentNodes: number
  stopGraceMs: number
  onStop: 'suspend' | 'shutdown' | 'keep'
  /** Milliseconds. */
  onStopWithinMs: number
  requestsPerMinute: number
  uploadMaxBytes: number
  importFolders: string[]
  /** Null: none is to be looked for. `isNamed`: somebody said where it is, so its absence is told. */
  guacd: { host: string; port: number; isNamed: boolean } | null
  /** Without a slash at its end; '' at the root. */
  basePath: string
  mustBeMounted: string[]
  /** The broker's socket; undefined: QEMUs are processes of ours. */
  broker: string | undefined
  databaseUrl: string | undefined
  cpus: number
}

const list = (text: string) =>
  text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')

/** The only reader of the environment. All faults are reported at once; throws `bad_config`. */
export function readConfig(environment: NodeJS.ProcessEnv): Config {
  const parsed = environmentSchema.safeParse(environment)
  if (!parsed.success) {
    const faults = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`)
    throw new SandlabError('bad_config', `The configuration has ${faults.length} fault(s):\n  ${faults.join('\n  ')}`, {
      hint: 'Correct these environment variables, then start again.',
    })
  }
  const env = parsed.data
  const parts: Partial<Layout> = {}
  if (env.STATE_FILE !== undefined) {
    Object.assign(parts, { stateFile: env.STATE_FILE, state: env.STATE_FILE.replace(/\/[^/]*$/, '') })
  }
  if (env.OVERLAYS_PATH !== undefined) Object.assign(parts, { overlays: env.OVERLAYS_PATH })
  if (env.IMAGES_PATH !== undefined) Object.assign(parts, { images: env.IMAGES_PATH })
  if (env.RUN_PATH !== undefined) Object.assign(parts, { run: env.RUN_PATH })
  return {
    dataDir: env.SANDLABX_DATA,
    layout: layoutOf(env.SANDLABX_DATA, parts),
    host: env.SANDLABX_HOST,
    port: env.SANDLABX_PORT,
    origins: list(env.SANDLABX_ORIGINS).map((origin) => new URL(origin).origin),
    trustProxy: env.SANDLABX_TRUST_PROXY,
    logLevel: env.SANDLABX_LOG_LEVEL,
    accelerator: env.SANDLABX_ACCELERATOR,
    cpuOvercommit: env.SANDLABX_CPU_OVERCOMMIT,
    memoryOvercommit: env.SANDLABX_MEMORY_OVERCOMMIT,
    memoryReserveMib: env.SANDLABX_MEMORY_RESERVE_MIB,
    growthReserveBytes: env.SANDLABX_GROWTH_RESERVE_MIB * 1024 ** 2,
    studentNodes: env.SANDLABX_STUDENT_NODES,
    stopGraceMs: env.SANDLABX_STOP_GRACE_SECONDS * 1000,
    onStop: env.SANDLABX_ON_STOP,
    onStopWithinMs: env.SANDLABX_ON_STOP_SECONDS * 1000,
    requestsPerMinute: env.SANDLABX_REQUESTS_PER_MINUTE,
    uploadMaxBytes: env.SANDLABX_UPLOAD_MAX_GIB * 1024 ** 3,
    importFolders: list(env.SANDLABX_IMPORT_FOLDERS),
    guacd: guacdOf(env.SANDLABX_GUACD),
    basePath: env.SANDLABX_BASE_PATH,
    mustBeMounted: list(env.SANDLABX_MUST_BE_MOUNTED),
    broker: env.SANDLABX_BROKER,
    databaseUrl: env.DATABASE_URL ?? databaseUrlOf(env),
    cpus: availableParallelism(),
  }
}

function databaseUrlOf(env: Environment): string | undefined {
  if (env.DATABASE_HOST === undefined) return undefined
  const url = new URL(`postgresql://localhost/${encodeURIComponent(env.DATABASE_NAME)}`)
  url.hostname = env.DATABASE_HOST
  url.port = String(env.DATABASE_PORT)
  url.username = env.DATABASE_USER
  if (env.DATABASE_PASSWORD_FILE !== undefined) url.password = readPassword(env.DATABASE_PASSWORD_FILE)
  return url.href
}

function readPassword(file: string): string {
  let password: string
  try {
    password = readFileSync(file, 'utf8').trim()
  } catch (error) {
    throw new SandlabError('bad_config', `The database's password can't be read from ${file}.`, {
      hint: 'It is what DATABASE_PASSWORD_FILE names. With Compose: `docker compose up -d` makes it.',
      cause: error,
    })
  }
  if (password !== '') return password
  throw new SandlabError('bad_config', `The file ${file} with the database's password is empty.`, {
    hint: 'Remove it and run `docker compose up -d`, which makes one.',
  })
}

function guacdOf(text: string | undefined): Config['guacd'] {
  if (text === 'none') return null
  const [, host = '127.0.0.1', port = '4822'] = /^(.*):(\d+)$/.exec(text ?? '') ?? []
  return { host: host.replaceAll(/^\[|\]$/g, ''), port: Number(port), isNamed: text !== undefined }
}
