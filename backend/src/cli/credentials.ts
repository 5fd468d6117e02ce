import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { homedir } from 'node:os'
import { z } from 'zod'
import { SandlabError } from '../domain/error.js'
import type { Io } from './io.js'
import { localLayout, localTokenFile, readRunningBackend } from './local-backend.js'

/** What `sandlabx login` keeps in `~/.config/sandlabx/config.json`, mode 0600. */
const configSchema = z.object({
  url: z.url(),
  token: z.string(),
  /** For `logout`, which revokes it. */
  tokenId: z.string(),
  login: z.string(),
})
export type Config = z.infer<typeof configSchema>

/** Which backend to ask, and as whom. `local`: as this machine's administrator, by the right to read `state/`. */
export interface Target {
  url: string
  token: string
  from: 'environment' | 'config' | 'local'
}

export interface TargetOptions {
  /** `--url` */
  url?: string | undefined
  /** `--data`: that folder's backend, whatever `login` has kept. */
  data?: string | undefined
}

export function configFile(io: Io): string {
  const base = io.env['XDG_CONFIG_HOME'] || join(io.env['HOME'] || homedir(), '.config')
  return join(base, 'sandlabx', 'config.json')
}

export async function readConfig(io: Io): Promise<Config | undefined> {
  const file = configFile(io)
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new SandlabError('bad_config', `The file ${file} can't be read.`, { cause: error })
  }
  try {
    return configSchema.parse(JSON.parse(text))
  } catch (error) {
    const hint = 'Remove it and run "sandlabx login ADDRESS" again.'
    throw new SandlabError('bad_config', `The file ${file} is damaged.`, { hint, cause: error })
  }
}

export async function writeConfig(io: Io, config: Config): Promise<string> {
  const file = configFile(io)
  await mkdir(dirname(file), { recursive: true, mode: 0o700 })
  await writeFile(file, `${JSON.stringify(config, null, 2)}\n`, { mode: 0o600 })
  await chmod(file, 0o600) // an older file keeps its mode through writeFile
  return file
}

export async function removeConfig(io: Io): Promise<void> {
  await rm(configFile(io), { force: true })
}

/**
 * Looks in this order: `--url` and `SANDLABX_URL` with `SANDLABX_TOKEN`; `--data`; what `login` has kept; the backend
 * that runs in the default data folder. Throws not_signed_in or unreachable with the way out.
 */
export async function findTarget(io: Io, options: TargetOptions): Promise<Target> {
  const url = options.url ?? (io.env['SANDLABX_URL'] || undefined)
  const token = io.env['SANDLABX_TOKEN'] || undefined
  if (options.data !== undefined && options.url === undefined) return localTarget(io, options.data)
  const config = await readConfig(io)
  if (url !== undefined) {
    const address = normalUrl(url)
    if (token !== undefined) return { url: address, token, from: 'environment' }
    if (config && sameServer(config.url, address)) return { url: address, token: config.token, from: 'config' }
    throw new SandlabError('not_signed_in', `There is no API token for ${address} here.`, {
      hint: `Run "sandlabx login ${address}", or set SANDLABX_TOKEN.`,
    })
  }
  if (config) return { url: config.url, token: token ?? config.token, from: 'config' }
  return localTarget(io, io.homeDir, token)
}

/** As the administrator of this machine: who may read the token that the backend left in `state/` may do everything. */
export async function localTarget(io: Io, dataDir: string, givenToken?: string): Promise<Target> {
  const layout = localLayout(io, dataDir)
  const running = await readRunningBackend(layout, io.serverScript)
  if (!running) {
    throw new SandlabError('unreachable', `No SandLabX runs in ${dataDir}.`, {
      hint: 'Start it with "./sandlabx up", or sign in to another one with "sandlabx login ADDRESS".',
    })
  }
  if (givenToken !== undefined) return { url: running.url, token: givenToken, from: 'environment' }
  try {
    const token = (await readFile(localTokenFile(layout), 'utf8')).trim()
    return { url: running.url, token, from: 'local' }
  } catch (error) {
    throw new SandlabError('not_signed_in', `You may not act as the administrator of the SandLabX in ${dataDir}.`, {
      hint: `Sign in with "sandlabx login ${running.url}".`,
      cause: error,
    })
  }
}

/** `lab.example:8080/` → `http://lab.example:8080`. Throws bad_request for what is no web address. */
export function normalUrl(text: string): string {
  const withScheme = /^[a-z]+:\/\//i.test(text) ? text : `http://${text}`
  const url = URL.canParse(withScheme) ? new URL(withScheme) : undefined
  if (!url || !['http:', 'https:'].includes(url.protocol)) {
    throw new SandlabError('bad_request', `"${text}" is no web address.`, {
      hint: 'Give it like http://lab.example:8080.',
    })
  }
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`
}

function sameServer(a: string, b: string): boolean {
  return normalUrl(a) === normalUrl(b)
}
