import { readFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { z } from 'zod'
import { firstLoginFile, layoutOf, type Layout } from '../domain/layout.js'
import type { Io } from './io.js'

/** The administrator's credential of this machine; the backend writes it at each start, mode 0600. */
export const localTokenFile = (l: Layout) => `${l.state}/local-token`
/** Who serves this data folder; written when it listens, removed when it stops. */
export const backendFile = (l: Layout) => `${l.run}/backend.json`
export const backendLogFile = (l: Layout) => `${l.run}/backend.log`

const backendSchema = z.object({ pid: z.int().positive(), url: z.url() })
export type RunningBackend = z.infer<typeof backendSchema>

const firstLoginSchema = z.object({ login: z.string(), password: z.string() })
export type FirstLogin = z.infer<typeof firstLoginSchema>

/** Where this machine's SandLabX keeps its files; the same variables move them as for the backend. */
export function localLayout(io: Io, dataDir: string): Layout {
  const { STATE_FILE, OVERLAYS_PATH, IMAGES_PATH, RUN_PATH } = io.env
  return layoutOf(dataDir, {
    ...(STATE_FILE ? { stateFile: STATE_FILE, state: dirname(STATE_FILE) } : {}),
    ...(OVERLAYS_PATH ? { overlays: OVERLAYS_PATH } : {}),
    ...(IMAGES_PATH ? { images: IMAGES_PATH } : {}),
    ...(RUN_PATH ? { run: RUN_PATH } : {}),
  })
}

/** The live backend of this data folder. A file that a killed one left behind counts as none. */
export async function readRunningBackend(layout: Layout, serverScript: string): Promise<RunningBackend | undefined> {
  const found = await readJson(backendFile(layout), backendSchema)
  if (!found || !(await isBackendProcess(found.pid, serverScript))) return undefined
  return { pid: found.pid, url: clientUrl(found.url) }
}

/**
 * True when this process runs a SandLabX backend: a pid can be given to somebody else after a crash, and nobody else
 * may ever get our signal.
 */
export async function isBackendProcess(pid: number, serverScript: string): Promise<boolean> {
  try {
    const [commandLine, stat] = await Promise.all([
      readFile(`/proc/${pid}/cmdline`, 'utf8'),
      readFile(`/proc/${pid}/stat`, 'utf8'),
    ])
    if (/\) [ZX] /.test(stat)) return false
    const script = serverScript.split('/').slice(-2).join('/')
    return commandLine.split('\0').some((word) => word === serverScript || word.endsWith(`/${script}`))
  } catch {
    return false // no such process any more
  }
}

/** The first administrator's generated password; undefined once it has been changed. */
export async function readFirstLogin(layout: Layout): Promise<FirstLogin | undefined> {
  return readJson(firstLoginFile(layout), firstLoginSchema)
}

/** An address that listens everywhere is reached by this machine's own. */
function clientUrl(url: string): string {
  const parsed = new URL(url)
  if (parsed.hostname === '0.0.0.0' || parsed.hostname === '[::]') parsed.hostname = '127.0.0.1'
  return parsed.origin
}

async function readJson<T>(file: string, schema: z.ZodType<T>): Promise<T | undefined> {
  try {
    return schema.parse(JSON.parse(await readFile(file, 'utf8')))
  } catch {
    return undefined // absent, not ours to read, or half-written: as good as absent for every caller
  }
}
