import { setTimeout as pause } from 'node:timers/promises'
import type { Command } from 'commander'
import { z } from 'zod'
import { CLOSE } from '../domain/console.js'
import { SandlabError } from '../domain/error.js'
import type { Client } from './client.js'
import { type ConsoleSession, DETACH_KEY, openSession, type SessionEnd } from './console-session.js'
import type { Io } from './io.js'
import { findNode } from './names.js'
import { takeTerminal, type RawTerminal } from './raw-terminal.js'
import { verb, type Run } from './run.js'

/** console, ssh: the terminal of the person becomes the serial console of a node, or a shell on it. */
export function addConsoleCommand(program: Command, io: Io): void {
  program
    .command('console <node>')
    .description("attach this terminal to a node's serial console; Ctrl-] detaches")
    .option('--view', 'only watch')
    .option('--take', 'take control at once, whoever has it')
    .action(verb(io, consoleSchema, (run, options, name: string) => attach(run, { ...options, kind: 'serial' }, name)))
  program
    .command('ssh <node>')
    .description('open a shell on a node over SSH, by a key that SandLabX gave it; Ctrl-] leaves')
    .action(verb(io, z.object({}), (run, _options, name: string) => attach(run, SSH, name)))
}

const consoleSchema = z.object({ view: z.boolean().default(false), take: z.boolean().default(false) })
type ConsoleOptions = z.infer<typeof consoleSchema> & { kind: 'serial' | 'ssh' }
const SSH: ConsoleOptions = { kind: 'ssh', view: false, take: false }

/** After the network or the backend went away, each wait before the next try; then we give up. */
const RETRY_AFTER_MS = [500, 1000, 2000, 4000, 8000, 8000, 8000, 8000, 8000, 8000]

/** A connection that lasted this long had worked: the next loss is a new trouble. */
const WORKED_MS = 10_000

async function attach(run: Run, options: ConsoleOptions, name: string): Promise<void> {
  const { io } = run
  if (options.view && options.take) {
    throw new SandlabError('bad_request', 'Either --view or --take, not both.')
  }
  if (!io.stdin.isTTY || !io.stdout.isTTY) {
    throw new SandlabError('bad_request', 'A console needs a terminal, and this is none.', {
      hint: options.kind === 'ssh' ? 'Run it in a terminal.' : `Read what it shows with "sandlabx log ${name}".`,
    })
  }
  const client = await run.client()
  const node = await findNode(client, name)
  io.stderr.write(`Attaching to ${node.name}. Ctrl-] detaches.\n`)
  const attachment = new Attachment(run.io, client, node, options)
  const stopListening = io.onSignal((signal) => attachment.interrupt(signal))
  try {
    await attachment.run()
  } finally {
    stopListening()
    attachment.close()
  }
}

/** From attach to detach, over as many connections as it takes. */
class Attachment {
  readonly #client: Client
  readonly #node: { id: string; name: string }
  readonly #options: ConsoleOptions
  readonly #terminal: RawTerminal
  readonly #left = new AbortController()
  #session: ConsoleSession | undefined
  #drawn: Buffer = Buffer.alloc(0)
  #signal: NodeJS.Signals | undefined

  constructor(io: Io, client: Client, node: { id: string; name: string }, options: ConsoleOptions) {
    this.#client = client
    this.#node = node
    this.#options = options
    this.#terminal = takeTerminal(io, {
      typed: (bytes) => this.#typed(bytes),
      resized: () => this.#session?.resized(),
      gone: () => this.interrupt('SIGHUP'),
    })
  }

  async run(): Promise<void> {
    let end = await this.#connectOnce(false)
    // A lost shell does not come back: another one would be a surprise.
    const retries = this.#options.kind === 'ssh' ? 0 : RETRY_AFTER_MS.length
    for (let tries = 0; end === 'lost' && tries < retries && !this.#left.signal.aborted;) {
      this.#terminal.note('The connection is lost; trying again. Ctrl-] detaches.')
      // Ctrl-] ends the wait.
      await pause(RETRY_AFTER_MS[tries], undefined, { signal: this.#left.signal }).catch(() => undefined)
      const startedAt = Date.now()
      if (!this.#left.signal.aborted) end = await this.#connectOnce(true)
      tries = Date.now() - startedAt > WORKED_MS ? 0 : tries + 1
    }
    this.#report(this.#left.signal.aborted ? 'detached' : end)
  }

  interrupt(signal: NodeJS.Signals): void {
    this.#signal = signal
    this.#leave()
  }

  close(): void {
    this.#terminal.restore()
  }

  async #connectOnce(again: boolean): Promise<SessionEnd> {
    try {
      const session = await openSession(this.#client, this.#terminal, {
        node: this.#node,
        kind: this.#options.kind,
        mode: this.#options.view ? 'view' : 'control',
        take: this.#options.take && !again,
        drawnBefore: this.#drawn,
      })
      this.#session = session
      if (this.#left.signal.aborted) session.detach() // Ctrl-] while it was opening
      const end = await session.ended()
      this.#drawn = session.drawn
      return end
    } catch (error) {
      const passing = ['unreachable', 'starting_up', 'database_down']
      if (again && error instanceof SandlabError && passing.includes(error.code)) return 'lost'
      throw error
    } finally {
      this.#session = undefined
    }
  }

  #typed(bytes: Buffer): void {
    if (this.#session) this.#session.typed(bytes)
    else if (bytes.includes(DETACH_KEY)) this.#leave()
  }

  #leave(): void {
    this.#left.abort()
    this.#session?.detach()
  }

  /** Restores the terminal first: what follows belongs to the person's own shell. */
  #report(end: SessionEnd): void {
    this.#terminal.note(describeEnd(this.#node.name, end, this.#signal))
    this.#terminal.restore()
    if (this.#signal !== undefined) throw new SandlabError('cancelled', `Ended by ${this.#signal}.`)
    if (typeof end === 'object' && end.code === CLOSE.finished) return
    if (end === 'lost') throw new SandlabError('unreachable', `The console of ${this.#node.name} is lost.`)
    if (typeof end === 'object') throw refusal(this.#node.name, end)
  }
}

function describeEnd(name: string, end: SessionEnd, signal: NodeJS.Signals | undefined): string {
  if (signal !== undefined) return `Detached from ${name} by ${signal}; it goes on.`
  if (end === 'detached') return `Detached from ${name}; it goes on.`
  if (end === 'node-stopped') return `${name} has stopped.`
  if (end === 'lost') return `The connection to ${name} did not come back.`
  return `The console of ${name} was closed.`
}

function refusal(name: string, end: { code: number; reason: string }): SandlabError {
  switch (end.code) {
    case CLOSE.badTicket:
      return new SandlabError('bad_ticket', 'The console was not opened in time.', { hint: 'Try again.' })
    case CLOSE.notAllowed:
      return new SandlabError('not_allowed', `You may no longer use the console of ${name}.`)
    case CLOSE.notRunning:
      return new SandlabError('console_not_available', `${name} is not running.`, { hint: `sandlabx start ${name}` })
    case CLOSE.takenOver:
      return new SandlabError('console_not_available', `Somebody else has taken the console of ${name}.`)
    case CLOSE.tooManyViewers:
      return new SandlabError('too_many_viewers', `Too many people look at ${name} already.`)
    default:
      return new SandlabError('console_not_available', `The server closed the console (${end.code} ${end.reason}).`)
  }
}
