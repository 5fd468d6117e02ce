import { setTimeout as pause } from 'node:timers/promises'
import { stripVTControlCharacters } from 'node:util'
import type { NodeId } from '../../domain/ids.js'
import type { TestBoot, TestBootReport } from '../../domain/test-boot.js'
import type { NodeEngine } from '../../hosts/engine.js'
import { plainLines } from '../../nodes/serial-tail.js'

/** What was seen of a guest that boots. */
export type Seen = Pick<TestBootReport, 'seen' | 'message' | 'serialTail'> & { ok: boolean }

const ASK_EVERY_MS = 300
const TAIL_BYTES = 64 * 1024
const SHOWN_LINES = 40
/** `web login: ` at the end, as getty and busybox print it; whatever the kernel says after it. */
const LOGIN = /(^|\n)[^\n]{0,80}\blogin: ?(\n|$)/

/** Whether the serial output tells that the guest is up. Pure. */
export function seenIn(output: string, expected: string | undefined): Seen['seen'] {
  const text = stripVTControlCharacters(output).replaceAll('\r', '')
  if (expected !== undefined) return text.includes(expected) ? 'text' : null
  return LOGIN.test(text) ? 'login' : null
}

/** Looks at the serial console, and asks the guest's agent, until the guest is up, has ended, or the time is over. Rejects when `signal` is aborted. */
export async function watchBoot(
  engine: NodeEngine,
  id: NodeId,
  { expect, timeoutSeconds }: Pick<TestBoot, 'expect' | 'timeoutSeconds'>,
  signal: AbortSignal,
  onLine: (line: string) => void,
): Promise<Seen> {
  const until = performance.now() + timeoutSeconds * 1000
  const agent = askAgent(engine, id)
  for (;;) {
    signal.throwIfAborted()
    const output = (await engine.serialTail(id, TAIL_BYTES).catch(() => Buffer.alloc(0))).toString('utf8')
    const serialTail = plainLines(output, SHOWN_LINES)
    onLine(serialTail.at(-1) ?? '')
    // Text was asked for: then nothing else tells.
    const seen = seenIn(output, expect) ?? (expect === undefined && agent.answers() ? 'agent' : null)
    if (seen !== null) return { ok: true, seen, serialTail, message: WORDS[seen] }
    const { phase, reason } = await engine.inspect(id)
    if (phase !== 'running' && phase !== 'starting') {
      const why = reason ?? 'it ended'
      return { ok: false, seen: null, serialTail, message: `It did not come up: ${why}` }
    }
    if (performance.now() > until) {
      const what = expect === undefined ? 'No login prompt' : `No ${JSON.stringify(expect)}`
      const message = `${what} on the serial console within ${timeoutSeconds} s. The screen may tell more.`
      return { ok: false, seen: null, serialTail, message }
    }
    await pause(ASK_EVERY_MS, undefined, { signal })
  }
}

/** Asks again and again, beside all else: without an agent each answer takes seconds. */
function askAgent(engine: NodeEngine, id: NodeId): { answers(): boolean } {
  let isThere = false
  let isAsked = false
  return {
    answers() {
      if (!isThere && !isAsked) {
        isAsked = true
        const answer = engine.guestAgent(id).then((state) => (isThere = state === 'answers'))
        void answer.catch(() => undefined).finally(() => (isAsked = false)) // not running: told by its phase
      }
      return isThere
    },
  }
}

const WORDS = {
  login: 'It boots: a login prompt is there.',
  agent: "It boots: the guest's agent answers.",
  text: 'It boots: the text is there.',
} as const
