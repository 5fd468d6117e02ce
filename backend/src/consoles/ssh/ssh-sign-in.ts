import type { Duplex } from 'node:stream'
import { EngineError } from '../../hosts/engine.js'
import { isNotFound, pause } from '../node-running.js'
import type { KnownHost } from './host-keys.js'
import type { LabKey } from './lab-key.js'
import { signIn, type SshAttempt } from './ssh-client.js'
import * as words from './ssh-words.js'

export interface SshTiming {
  /** How long a guest may take until its SSH server answers. */
  patienceMs: number
  retryMs: number
  /** For one try: until the server's first word, and from there to being signed in. Without KVM both take seconds. */
  greetMs: number
  handshakeMs: number
  /** How long a question waits for its answer. */
  answerMs: number
}

export const SSH_TIMING: SshTiming = {
  patienceMs: 120_000,
  retryMs: 1000,
  greetMs: 10_000,
  handshakeMs: 30_000,
  answerMs: 120_000,
}

export interface SignInOptions {
  name: string
  user: string
  key: LabKey
  known: () => Promise<KnownHost | undefined>
  connect: () => Promise<Duplex>
  isRunning: () => Promise<boolean>
  /** Tells the person at the terminal. */
  say: (text: string) => void
  /** Asks that person; undefined: no answer came in time. */
  ask: (timeoutMs: number) => Promise<string | undefined>
  onTrusted: (fingerprint: string) => void
  timing: SshTiming
  signal: AbortSignal
}

/** `told`: the words with which it is over. */
export type SignedIn =
  | Extract<SshAttempt, { outcome: 'open' }>
  | { outcome: 'over'; told: string }
  | { outcome: 'node-stopped' }

/**
 * Signs in as soon as the guest's SSH server answers, and gives up when that takes too long. Of another host key than the
 * known one it asks first, unless the node has another disk since. Rejects with what the engine rejected with.
 */
export async function signInPatiently(options: SignInOptions): Promise<SignedIn> {
  const { name, user, key, timing, signal, say } = options
  const deadline = performance.now() + timing.patienceMs
  let trusted: string | undefined
  let told = false
  for (;;) {
    const known = await options.known()
    const way = await wayIn(options)
    if ('outcome' in way) return way
    const expected = trusted ?? known?.fingerprint ?? null
    const attempt = await signIn({ ...way, ...timing, user, expected, privateKey: key.privateKey, signal })
    switch (attempt.outcome) {
      case 'open':
        return attempt
      case 'refused':
        return { outcome: 'over', told: words.refused(name, user, key.publicKey) }
      case 'other-key':
        if (!(await mayTrust(options, attempt.fingerprint, known, trusted))) {
          return { outcome: 'over', told: words.NOT_TRUSTED }
        }
        trusted = attempt.fingerprint
        break
      case 'unreachable':
        if (!(await options.isRunning())) return { outcome: 'node-stopped' }
        if (signal.aborted || performance.now() > deadline) {
          return { outcome: 'over', told: words.neverCame(name, timing.patienceMs / 1000, attempt.reason) }
        }
        if (!told) say(words.waiting(name))
        told = true
        await pause(timing.retryMs, signal)
    }
  }
}

async function wayIn({ connect, name }: SignInOptions): Promise<{ stream: Duplex } | SignedIn> {
  try {
    return { stream: await connect() }
  } catch (error) {
    if (isNotFound(error)) return { outcome: 'node-stopped' }
    if (!(error instanceof EngineError) || error.code !== 'unsupported') throw error
    return { outcome: 'over', told: words.noWayIn(name, error.message) }
  }
}

/** A new disk explains a new key, once; any other is asked about. */
async function mayTrust(
  { name, say, ask, onTrusted, timing }: SignInOptions,
  now: string,
  known: KnownHost | undefined,
  trusted: string | undefined,
): Promise<boolean> {
  if (known?.isOtherDisk && trusted === undefined) {
    say(words.newKeyOfNewDisk(name))
    return true
  }
  say(words.otherKey(name, trusted ?? known?.fingerprint ?? 'none', now))
  const isYes = (await ask(timing.answerMs))?.toLowerCase() === 'y'
  say(isYes ? 'y\r\n' : 'n\r\n')
  if (isYes) onTrusted(now)
  return isYes
}
