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
  SANDLABX_REQUESTS_PER_MINUTE: z.coerce.number().int().min(1).default(3000),
  SANDLABX_UPLOAD_MAX_GIB: z.coerce.number().min(0.001).default(64),
  /** An administrator may import files from these folders of the server, comma-separated. */
  SANDLABX_IMPORT_FOLDERS: z.string().default(''),
  STATE_FILE: z.string().optional(),
  OVERLAYS_PATH: z.string().optional(),
  IMAGES_PATH: z.string().optional(),
  RUN_PATH: z.string().optional(),
  /** An external PostgreSQL; without it one is started under `state/postgres`. */
  DATABASE_URL: z.string().optional(),
})

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
  requestsPerMinute: number
  uploadMaxBytes: number
  importFolders: string[]
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
    requestsPerMinute: env.SANDLABX_REQUESTS_PER_MINUTE,
    uploadMaxBytes: env.SANDLABX_UPLOAD_MAX_GIB * 1024 ** 3,
    importFolders: list(env.SANDLABX_IMPORT_FOLDERS),
    databaseUrl: env.DATABASE_URL,
    cpus: availableParallelism(),
  }
}
