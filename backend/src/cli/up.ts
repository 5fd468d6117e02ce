import type { Command } from 'commander'
import { z } from 'zod'
import { SandlabError } from '../domain/error.js'
import { healthReportSchema } from '../domain/health.js'
import type { Layout } from '../domain/layout.js'
import { startBackend, STOP_TIMEOUT_MS, type BackendChild, type Ending } from './backend-process.js'
import { createClient, type Client } from './client.js'
import { localTarget } from './credentials.js'
import { followLog } from './follow-log.js'
import type { Io } from './io.js'
import {
  backendLogFile,
  localLayout,
  readFirstLogin,
  readRunningBackend,
  type RunningBackend,
} from './local-backend.js'
import { port } from './option-values.js'
import { startProgress } from './progress.js'
import { verb, type Run } from './run.js'
import { beginBuild, buildStarter, wantedStarters } from './starter-images.js'
import { oneLine, paint } from './text.js'

/** up: starts the backend of this machine, makes a first image, says where to go, and stays until Ctrl-C. */
export function addUpCommand(program: Command, io: Io): void {
  program
    .command('up')
    .description('start SandLabX here; Ctrl-C stops it and leaves nodes running')
    .option('--port <number>', 'listen on this port (3001 unless told)', port)
    .option('--host <address>', 'listen on this address (127.0.0.1 unless told)')
    .option('--detach', 'come back as soon as it is ready')
    .option('--no-images', 'build no starter image')
    .action(verb(io, upSchema, up))
}

const upSchema = z.object({
  port: z.number().optional(),
  host: z.string().optional(),
  detach: z.boolean().default(false),
  images: z.boolean().default(true),
})
type UpOptions = z.infer<typeof upSchema>

async function up(run: Run, options: UpOptions): Promise<void> {
  const { io, dataDir } = run
  const layout = localLayout(io, dataDir)
  const running = await readRunningBackend(layout, io.serverScript)
  if (running) {
    io.stderr.write(`SandLabX runs already, as process ${running.pid}.\n`)
    await announce(run, layout, running)
    return
  }
  const leave = new AbortController()
  const stopListening = io.onSignal(() => leave.abort())
  try {
    const backend = await startWithProgress(run, layout, options, leave.signal)
    if (backend.safeMode !== null) io.stderr.write(`${backend.safeMode} · See "sandlabx doctor".\n`)
    await attend(run, layout, backend, options, leave.signal)
  } finally {
    stopListening()
  }
}

async function startWithProgress(run: Run, layout: Layout, options: UpOptions, leave: AbortSignal) {
  const progress = startProgress(run.io, 'Starting the backend')
  try {
    const { host, port } = options
    const backend = await startBackend(run.io, { dataDir: run.dataDir, layout, host, port }, leave)
    progress.succeed('The backend is ready')
    return backend
  } catch (error) {
    progress.clear()
    throw error
  }
}

/** From ready on: images, the address, then the log, until the backend or the person ends it. */
async function attend(
  run: Run,
  layout: Layout,
  backend: BackendChild,
  options: UpOptions,
  leave: AbortSignal,
): Promise<void> {
  const { io } = run
  const left = untilAborted(leave).then(() => 'left' as const)
  const ended = backend.ended.then(() => 'ended' as const)
  const welcomed = welcome(run, layout, backend, options).then(
    () => 'done' as const,
    (error: unknown) => asError(error),
  )
  let outcome = await Promise.race([left, ended, welcomed])
  if (outcome instanceof Error && !leave.aborted) {
    if (options.detach) {
      backend.release() // it is well; only what came after failed
      throw outcome
    }
    io.stderr.write(`${outcome.message}\n`)
  }
  if (outcome === 'done' && options.detach) {
    backend.release()
    return
  }
  if (outcome !== 'left' && outcome !== 'ended') {
    if (!run.output.json) io.stderr.write('Ctrl-C stops SandLabX; nodes go on running.\n')
    outcome = await showLogUntil(run, backend, Promise.race([left, ended]))
  }
  if (outcome === 'ended' && !leave.aborted) throw unexpectedEnd(await backend.ended, layout)
  await endBackend(io, backend)
}

async function showLogUntil<T>(run: Run, backend: BackendChild, end: Promise<T>): Promise<T> {
  const enough = new AbortController()
  const shown = run.output.json
    ? undefined
    : followLog(run.io, backend.logFile, backend.logStart, enough.signal).catch((error: unknown) => {
        run.io.stderr.write(`The log ${backend.logFile} can't be followed: ${asError(error).message}\n`)
      })
  try {
    return await end
  } finally {
    enough.abort()
    await shown
  }
}

async function welcome(run: Run, layout: Layout, backend: BackendChild, options: UpOptions): Promise<void> {
  const { io } = run
  const client = createClient(await localTarget(io, run.dataDir))
  const starters = options.images && backend.safeMode === null ? await wantedStarters(client) : []
  const [first, ...others] = starters
  if (first !== undefined) await buildStarter(io, client, first)
  await announce(run, layout, backend)
  await warnOfFailures(run, client)
  for (const recipe of others) {
    if (options.detach) {
      const { title } = await beginBuild(client, recipe)
      io.stderr.write(`${title}: under way; see "sandlabx operations ls".\n`)
    } else {
      await buildStarter(io, client, recipe)
    }
  }
}

/** The address, and the first administrator's password as long as it is the generated one. */
async function announce(run: Run, layout: Layout, backend: RunningBackend): Promise<void> {
  const { io, output } = run
  const first = await readFirstLogin(layout)
  if (output.json) {
    output.done('', {
      url: backend.url,
      pid: backend.pid,
      login: first?.login ?? null,
      password: first?.password ?? null,
    })
    return
  }
  const lines = [`Address   ${backend.url}`]
  if (first) lines.push(`Login     ${first.login}`, `Password  ${first.password}`)
  if (io.stdout.isTTY) {
    io.stdout.write(`\n${drawBox(io, 'SandLabX is ready', lines)}\n\n`)
  } else {
    io.stdout.write(`SandLabX is ready\n${lines.join('\n')}\n`)
  }
}

function drawBox(io: Io, title: string, lines: string[]): string {
  const width = Math.max(title.length, ...lines.map((line) => line.length)) + 4
  const edge = (text: string) => paint(io, io.stdout, 'green', text)
  return [
    edge(`╭─ ${title} ${'─'.repeat(width - title.length - 3)}╮`),
    ...lines.map((line) => `${edge('│')}  ${line.padEnd(width - 2)}${edge('│')}`),
    edge(`╰${'─'.repeat(width)}╯`),
  ].join('\n')
}

/** What has failed though the backend is ready, such as its database: without it nobody can sign in. */
async function warnOfFailures(run: Run, client: Client): Promise<void> {
  const report = await client.get('/api/health', healthReportSchema).catch(() => undefined) // the log will tell
  if (report?.state !== 'failed') return
  for (const check of report.checks?.filter(({ state }) => state === 'failed') ?? []) {
    run.io.stderr.write(
      `${oneLine(`${check.title}: ${check.message}${check.hint === null ? '' : ` · ${check.hint}`}`)}\n`,
    )
  }
  run.io.stderr.write('Something has failed; see "sandlabx doctor".\n')
}

/** SIGTERM once, then patience: it closes its database in order. Nodes are processes of their own and go on. */
async function endBackend(io: Io, backend: BackendChild): Promise<void> {
  const progress = startProgress(io, 'Stopping the backend; nodes go on running')
  backend.signal('SIGTERM')
  const timer = setTimeout(() => backend.signal('SIGKILL'), STOP_TIMEOUT_MS)
  const ending = await backend.ended
  clearTimeout(timer)
  if (ending.signal === 'SIGKILL') progress.fail('The backend did not stop in time and was killed')
  else progress.succeed('Stopped; nodes go on running. "./sandlabx up" finds them, "./sandlabx down" shuts them down')
}

function unexpectedEnd(ending: Ending, layout: Layout): SandlabError {
  const how = ending.signal ?? `exit ${ending.exitCode ?? 'unknown'}`
  return new SandlabError('internal', `The backend has ended by itself (${how}); nodes go on running.`, {
    hint: `Start it again with "./sandlabx up". Its log is ${backendLogFile(layout)}.`,
  })
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}
