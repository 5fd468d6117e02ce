import { CLOSE, type ConsoleMode, type SerialServerMessage, type Viewer } from '../domain/console.js'
import type { Client } from './client.js'
import type { RawTerminal } from './raw-terminal.js'
import { openSerial, type SerialConnection, type SerialListener } from './serial-connection.js'

/** Why one connection is over. `lost`: the network or the backend went away; worth another try. */
export type SessionEnd = 'detached' | 'node-stopped' | 'lost' | { code: number; reason: string }

export interface SessionOptions {
  node: { id: string; name: string }
  kind: 'serial' | 'ssh'
  mode: ConsoleMode
  take: boolean
  /** What was drawn last by an earlier connection of this attachment; that part of the replay is not drawn again. */
  drawnBefore: Buffer
}

export const DETACH_KEY = 0x1d // Ctrl-]
const TAKE_KEY = 0x14 // Ctrl-T, only while another one types
/** How much of what was drawn is kept to find the place in the next replay. */
const REMEMBERED_BYTES = 512
const RESET = Buffer.from('\u001Bc')
const LOST_CODES: readonly number[] = [1001, 1005, 1006, 1011, 1012, 1013, CLOSE.unavailable, CLOSE.reopen]
/** Nobody is recorded without being told. */
const RECORDED = 'RECORDED: what this console shows is kept, what you type is not.'
const REMIND_EVERY_MS = 3000

/** Speaks the serial protocol of domain/console.ts for one connection. Throws like `openSerial`. */
export async function openSession(
  client: Client,
  terminal: RawTerminal,
  options: SessionOptions,
): Promise<ConsoleSession> {
  const session = new ConsoleSession(terminal, options)
  session.begin(await openSerial(client, options.node.id, options, session))
  return session
}

export class ConsoleSession implements SerialListener {
  readonly #terminal: RawTerminal
  readonly #options: SessionOptions
  #connection: SerialConnection | undefined
  #viewerId: string | undefined
  #viewers: Viewer[] = []
  #replayLeft = 0
  #replay: Buffer[] = []
  #nodeStopped = false
  #detached = false
  #remindedAt = 0
  /** The end of what was drawn, for the next connection. */
  drawn: Buffer

  constructor(terminal: RawTerminal, options: SessionOptions) {
    this.#terminal = terminal
    this.#options = options
    this.drawn = options.drawnBefore
  }

  begin(connection: SerialConnection): void {
    this.#connection = connection
    this.#greet()
  }

  /** What the person typed. The detach key ends it after what came before. */
  typed(bytes: Buffer): void {
    const detachAt = bytes.indexOf(DETACH_KEY)
    const keys = detachAt < 0 ? bytes : bytes.subarray(0, detachAt)
    // While history is drawn, what "types" is the terminal answering it.
    if (keys.length > 0 && this.#viewerId !== undefined && this.#replayLeft <= 0) {
      if (this.#mayType()) this.#connection?.type(keys)
      else this.#refuse(keys)
    }
    if (detachAt >= 0) this.detach()
  }

  resized(): void {
    if (this.#viewerId !== undefined) this.#connection?.tell({ type: 'resize', ...this.#terminal.size() })
  }

  detach(): void {
    this.#detached = true
    this.#connection?.close()
  }

  async ended(): Promise<SessionEnd> {
    const closed = await this.#connection?.closed
    if (this.#detached) return 'detached'
    if (this.#nodeStopped) return 'node-stopped'
    return !closed || LOST_CODES.includes(closed.code) ? 'lost' : closed
  }

  output(bytes: Buffer, drawn: () => void): void {
    if (this.#replayLeft <= 0) return this.#draw(bytes, drawn)
    this.#replay.push(bytes)
    this.#replayLeft -= bytes.length
    if (this.#replayLeft > 0) return drawn() // kept for a moment; a replay is smaller than the window
    const replay = Buffer.concat(this.#replay)
    this.#replay = []
    this.#draw(newPart(replay, this.#options.drawnBefore), drawn)
  }

  message(heard: SerialServerMessage): void {
    switch (heard.type) {
      case 'hello':
        this.#viewerId = heard.viewerId
        this.#replayLeft = heard.replayBytes
        if (heard.recorded) this.#terminal.alarm(RECORDED)
        return this.#greet()
      case 'viewers':
        return this.#see(heard.viewers)
      case 'skipped':
        return this.#terminal.note(
          `This terminal was too slow and missed ${heard.bytes} bytes; "sandlabx log ${this.#options.node.name}" has them.`,
        )
      case 'recorded':
        if (heard.recorded) return this.#terminal.alarm(RECORDED)
        return this.#terminal.note(`Recording stopped: ${heard.reason ?? 'it was switched off'}.`)
      case 'node-stopped':
        this.#nodeStopped = true
    }
  }

  /** Once both the connection and the server's `hello` are there, in whichever order. */
  #greet(): void {
    if (!this.#connection || this.#viewerId === undefined) return
    if (this.#options.take) this.#connection.tell({ type: 'take-control' })
    this.resized()
    if (this.#viewers.length > 0) this.#tellWhoIsHere(this.#viewers, this.#viewerId)
  }

  #see(viewers: Viewer[]): void {
    const before = this.#viewers
    this.#viewers = viewers
    if (this.#viewerId === undefined) return
    const text = describeViewers(viewers, this.#viewerId)
    if (text !== describeViewers(before, this.#viewerId)) this.#tellWhoIsHere(viewers, this.#viewerId)
  }

  /** Not over a shell of one's own, which nobody else sees. */
  #tellWhoIsHere(viewers: Viewer[], ownId: string): void {
    if (this.#options.kind === 'serial') this.#terminal.note(describeViewers(viewers, ownId))
  }

  #draw(bytes: Buffer, drawn: () => void): void {
    const newest = Buffer.from(bytes.subarray(-REMEMBERED_BYTES))
    this.drawn = Buffer.concat([this.drawn, newest]).subarray(-REMEMBERED_BYTES)
    this.#terminal.draw(bytes, drawn)
  }

  #mayType(): boolean {
    return this.#viewers.some((viewer) => viewer.id === this.#viewerId && viewer.writer)
  }

  #refuse(keys: Buffer): void {
    const mayTake = this.#options.mode === 'control'
    if (mayTake && keys.includes(TAKE_KEY)) {
      this.#connection?.tell({ type: 'take-control' })
      return
    }
    if (Date.now() - this.#remindedAt < REMIND_EVERY_MS) return
    this.#remindedAt = Date.now()
    this.#terminal.note(mayTake ? 'Somebody else types; Ctrl-T takes control.' : 'You only watch; Ctrl-] detaches.')
  }
}

/** A replay without the reset that would wipe the person's scroll-back, and without what they have seen already. */
export function newPart(replay: Buffer, drawnBefore: Buffer): Buffer {
  const history = replay.subarray(0, RESET.length).equals(RESET) ? replay.subarray(RESET.length) : replay
  const seenAt = drawnBefore.length > 0 ? history.lastIndexOf(drawnBefore) : -1
  return seenAt < 0 ? history : history.subarray(seenAt + drawnBefore.length)
}

/** `You type. Also here: anna (watches), bert (on the screen).` */
export function describeViewers(viewers: Viewer[], ownId: string): string {
  const own = viewers.find((viewer) => viewer.id === ownId)
  const writer = viewers.find((viewer) => viewer.writer && viewer.kind === 'serial')
  const others = viewers
    .filter((viewer) => viewer.id !== ownId)
    .map((viewer) => {
      if (viewer.kind === 'screen') return `${viewer.login} (on the screen)`
      if (viewer.kind === 'ssh') return `${viewer.login} (over SSH)`
      return viewer.writer ? `${viewer.login} (types)` : `${viewer.login} (watches)`
    })
  const company = others.length > 0 ? ` Also here: ${others.join(', ')}.` : ' Nobody else is here.'
  if (own?.writer) return `You type.${company}`
  if (own?.mode === 'view' || !writer) return `You watch.${company}`
  return `You watch, because ${writer.login} types; Ctrl-T takes control.${company}`
}
