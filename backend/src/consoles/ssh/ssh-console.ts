import type { Client, ClientChannel } from 'ssh2'
import { CLOSE, type SerialClientMessage, serialClientMessageSchema } from '../../domain/console.js'
import type { RecordingCut } from '../../domain/recording.js'
import { EngineError, type NodeEngine } from '../../hosts/engine.js'
import type { Logger } from '../../system/log.js'
import { causeOfEnd, type EndCause, isRunning, pause } from '../node-running.js'
import type { RunningText } from '../recording/recordings.js'
import type { ConsoleSession } from '../session.js'
import { POLICY_VIOLATION } from '../viewer-socket.js'
import type { HostKeys } from './host-keys.js'
import type { LabKey } from './lab-key.js'
import { openShell } from './ssh-client.js'
import { createSshOutput } from './ssh-output.js'
import { SSH_TIMING, signInPatiently, type SshTiming } from './ssh-sign-in.js'
import * as words from './ssh-words.js'

/** What consoles of kind `ssh` need beside the engine. */
export interface SshDependencies {
  key: LabKey
  hostKeys: HostKeys
  /** As whom to sign in; undefined for a node that is gone. */
  accountOf: (nodeId: ConsoleSession['nodeId']) => { name: string; user: string } | undefined
  /** A person has said that another host key than the known one is right. */
  onTrusted?: (session: ConsoleSession, fingerprint: string) => void
  timing?: Partial<SshTiming>
}

export interface SshConsoleOptions extends SshDependencies {
  engine: NodeEngine
  session: ConsoleSession
  log: Logger
  record: ((onCut: (cut: RecordingCut) => void) => RunningText) | undefined
  /** Who writes, or the viewer's size, has changed. */
  onChange: () => void
  endSession: (session: ConsoleSession, cause: EndCause) => void
}

const SSH_PORT = 22
const SIZE = { columns: 80, rows: 24 }
const MAX_TYPED_BYTES = 64 * 1024

/**
 * A shell of one person's own on a node, until the socket closes. Where the connection leads is the engine's business; who
 * signs in, the record's. The viewer names neither.
 */
export function openSshConsole(options: SshConsoleOptions): void {
  const { session, engine, hostKeys, log } = options
  const { socket, nodeId } = session
  const gone = new AbortController()
  /** What the person types is the answer to a question. */
  let answer: ((bytes: Buffer) => void) | undefined
  let client: Client | undefined
  let shell: ClientChannel | undefined
  const account = options.accountOf(nodeId)
  if (!account) return socket.close(CLOSE.notRunning, 'the node is gone')

  const output = createSshOutput({ session, record: options.record, onRoom: () => shell?.resume() })
  socket.listen({ bytes: typed, text: heard, closed: leave })
  greet()
  const say = (text: string) => void output.show(Buffer.from(text))
  run(account).catch((error: unknown) => {
    if (gone.signal.aborted) return
    log.warn({ err: error, nodeId }, 'an SSH console broke')
    options.endSession(
      session,
      error instanceof EngineError && error.code === 'not-found' ? 'node-stopped' : 'unavailable',
    )
  })

  function greet(): void {
    const { id: viewerId, mode, recorded } = session
    socket.tell({ type: 'hello', viewerId, mode, replayBytes: 0, recorded })
    session.isGreeted = true
    session.writer = true
    options.onChange()
  }

  async function run({ name, user }: { name: string; user: string }): Promise<void> {
    say(words.note(`Connecting to ${user}@${name} …`))
    const signedIn = await signInPatiently({
      name,
      user,
      key: options.key,
      known: () => hostKeys.get(nodeId),
      connect: () => connectGuest(engine, nodeId),
      isRunning: () => isRunning(engine, nodeId),
      say,
      ask,
      onTrusted: (fingerprint) => options.onTrusted?.(session, fingerprint),
      timing: { ...SSH_TIMING, ...options.timing },
      signal: gone.signal,
    })
    if (signedIn.outcome === 'node-stopped') return options.endSession(session, 'node-stopped')
    if (signedIn.outcome === 'over') return finish(signedIn.told)
    client = signedIn.client
    if (gone.signal.aborted) return leave()
    await hostKeys.remember(nodeId, signedIn.fingerprint)
    await follow(client, name)
  }

  async function follow(over: Client, name: string): Promise<void> {
    let ending = words.LOST
    over.on('close', () => void ended(ending))
    const opened = await openShell(over, session.size ?? SIZE).catch((error: unknown) => {
      log.info({ err: error, nodeId }, 'a guest gave no shell')
    })
    if (!opened) return finish(words.noShell(name))
    shell = opened
    opened.on('data', (chunk) => {
      if (!output.show(chunk)) opened.pause()
    })
    opened.stderr.resume() // a terminal has none
    opened.on('drain', () => socket.resume())
    opened.on('error', () => opened.destroy())
    opened.on('exit', (code, signal) => (ending = words.shellEnded(code, signal)))
    opened.on('close', () => void over.end())
    if (session.size) opened.setWindow(session.size.rows, session.size.columns, 0, 0)
  }

  async function ended(ending: string): Promise<void> {
    const cause = ending === words.LOST ? await causeOfEnd(engine, nodeId, gone.signal) : undefined
    if (gone.signal.aborted) return
    if (cause === 'node-stopped') options.endSession(session, cause)
    else finish(ending)
  }

  function finish(text: string): void {
    say(text)
    socket.close(CLOSE.finished, 'the SSH session has ended')
  }

  async function ask(timeoutMs: number): Promise<string | undefined> {
    const given = new Promise<string>((resolve) => (answer = (bytes) => resolve(bytes.toString('latin1').slice(0, 1))))
    const letter = await Promise.race([given, pause(timeoutMs, gone.signal)])
    answer = undefined
    return letter ?? undefined
  }

  function typed(bytes: Buffer): void {
    if (answer) return answer(bytes)
    if (!shell?.writable) return
    shell.write(bytes)
    if (shell.writableLength > MAX_TYPED_BYTES) socket.pause()
  }

  function heard(text: string): void {
    const message = parseMessage(text)
    if (message === undefined) return socket.close(POLICY_VIOLATION, 'not a message of an SSH console')
    if (message.type === 'ack') return output.acknowledge(message.bytes)
    if (message.type !== 'resize') return // control is nobody else's
    session.size = { columns: message.columns, rows: message.rows }
    output.resized(session.size)
    shell?.setWindow(message.rows, message.columns, 0, 0)
    options.onChange()
  }

  function leave(): void {
    gone.abort()
    client?.end()
    client?.destroy()
    output.end()
  }
}

function connectGuest(engine: NodeEngine, nodeId: ConsoleSession['nodeId']) {
  if (engine.connectGuest) return engine.connectGuest(nodeId, SSH_PORT)
  return Promise.reject(new EngineError('unsupported', 'What runs nodes here has no way into their networks.'))
}

function parseMessage(text: string): SerialClientMessage | undefined {
  try {
    return serialClientMessageSchema.safeParse(JSON.parse(text)).data
  } catch {
    return undefined
  }
}
