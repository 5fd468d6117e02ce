import { WebSocket } from 'ws'
import { CONSOLE_PATH, type ConsoleTicket } from '../../src/domain/console.js'
import { exchange } from './fuzz-connection.js'
import { startFuzzLab, type FuzzLab } from './fuzz-lab.js'
import { type FuzzMessage, liveMessage, screenMessage, serialMessage, upgradeBytes } from './fuzz-messages.js'
import { seeded, type Random } from './fuzz-random.js'
import {
  emptySocketResult,
  MAX_MEMORY_GROWTH,
  SETTLED,
  type FuzzOptions,
  type SocketFuzzResult,
} from './fuzz-result.js'

type Kind = 'serial' | 'screen' | 'view' | 'live'

const KINDS: readonly Kind[] = ['serial', 'serial', 'screen', 'view', 'live']
/** An index is a malformed upgrade, or a session with so many messages at most. */
const MESSAGES_PER_SESSION = 16
const LANES = 4
const CHUNK = 100
const SESSION_TIMEOUT_MS = 20_000
/** After a frame that announces more than it brings the server may wait, until its pings are not answered. */
const HALF_FRAME_MS = 3000

interface Run {
  lab: FuzzLab
  port: number
  options: FuzzOptions
  result: SocketFuzzResult
  openMs: number[]
  /** Ids of running nodes. */
  running: string[]
  counting: boolean
}

/**
 * Malformed upgrades, frames and messages to consoles and to socket.io, against a backend in a process of its own; `count`
 * is of messages. An index is a session or an upgrade; the seed makes the same again.
 */
export async function runFuzzedSockets(options: FuzzOptions): Promise<SocketFuzzResult> {
  const lab = await startFuzzLab()
  try {
    const run: Run = {
      lab,
      port: Number(new URL(lab.url).port),
      options,
      result: emptySocketResult(options.seed),
      openMs: [],
      running: [],
      counting: false,
    }
    if (options.index === undefined) await wholeRun(run)
    else await playChunk(run, [options.index])
    return run.result
  } finally {
    await lab.close()
  }
}

async function wholeRun(run: Run): Promise<void> {
  const { options, result, lab } = run
  // As many again: 10,000 messages leave the memory of a fresh process a tenth above its first figure, 20,000 no more.
  const warmUp = options.count
  let index = await playUntil(run, 1_000_000_000, warmUp)
  const before = await lab.memory()
  Object.assign(result, { tried: 0, sessions: 0, upgrades: 0, messages: 0, ends: {} })
  run.openMs = []
  run.counting = true
  index = await playUntil(run, 0, options.count)
  options.log(`${index} sessions and upgrades`)
  const after = lab.exit === undefined ? await lab.memory() : before
  result.memoryBytes = { before: before.rssBytes, after: after.rssBytes }
  result.heapBytes = { before: before.heapBytes, after: after.heapBytes }
  result.memoryGrowth = after.rssBytes / before.rssBytes - 1
  if (options.count >= SETTLED && result.memoryGrowth >= MAX_MEMORY_GROWTH) {
    fail(run, index, `resident memory grew by ${(100 * result.memoryGrowth).toFixed(1)} %`)
  }
  const sorted = run.openMs.toSorted((one, other) => one - other)
  result.p99OpenMs = sorted[Math.floor(sorted.length * 0.99)] ?? 0
}

/** Plays indexes from `first` on until so much was sent; returns the next index. */
async function playUntil(run: Run, first: number, count: number): Promise<number> {
  let index = first
  while (run.result.tried < count && run.lab.exit === undefined) {
    await playChunk(
      run,
      Array.from({ length: CHUNK }, (_, offset) => index + offset),
    )
    index += CHUNK
    run.options.log(`${run.result.tried} of ${count}${run.counting ? '' : ' to warm up'}, ${run.result.exits} exits`)
  }
  return index
}

async function playChunk(run: Run, indexes: number[]): Promise<void> {
  run.running = await runningNodes(run)
  const next = indexes.values()
  const lane = async () => {
    for (const index of next) if (run.lab.exit === undefined) await playOne(run, index)
  }
  await Promise.all(Array.from({ length: LANES }, lane))
  if (run.lab.exit === undefined) return
  run.result.exits += 1
  fail(run, indexes[0] ?? 0, `the backend ended (${run.lab.exit}): ${run.lab.complaints.slice(-20).join('\n')}`)
}

async function playOne(run: Run, index: number): Promise<void> {
  const random = seeded(run.options.seed, index)
  if (random.chance(0.3)) return playUpgrade(run, index, random)
  const kind = random.pick(KINDS)
  const length = 1 + random.whole(MESSAGES_PER_SESSION)
  const messages = Array.from({ length }, (_, step) => messageOf(kind, random, step, step === length - 1))
  const target = await addressOf(run, kind, random)
  if (target === undefined) return fail(run, index, 'no ticket for a console of a running node')
  await playSession(run, index, { kind, messages, ...target })
}

function messageOf(kind: Kind, random: Random, step: number, isLast: boolean): FuzzMessage {
  if (kind === 'serial') return serialMessage(random, isLast)
  return kind === 'live' ? liveMessage(random, isLast) : screenMessage(random, isLast, step)
}

async function playUpgrade(run: Run, index: number, random: Random): Promise<void> {
  run.result.upgrades += 1
  run.result.tried += 1
  const bytes = upgradeBytes(random, CONSOLE_PATH)
  const answer = await exchange(run.port, bytes)
  if (answer === 'silent') {
    run.result.unanswered += 1
    return fail(run, index, 'a malformed upgrade was left open without a word')
  }
  const status = answer === 'closed' ? 'closed' : String(answer.status)
  run.result.ends[`upgrade ${status}`] = (run.result.ends[`upgrade ${status}`] ?? 0) + 1
  if (status === '101' && !bytes.includes(' /socket.io/')) {
    run.result.wronglyOpened += 1
    fail(run, index, 'a malformed upgrade opened a console')
  }
  if (answer !== 'closed' && answer.status >= 500 && answer.status !== 505) {
    run.result.undocumented += 1
    fail(run, index, `a malformed upgrade was answered with ${status}`)
  }
}

interface Session {
  kind: Kind
  messages: FuzzMessage[]
  url: string
  headers: Record<string, string>
}

/** Opens it as the command line would, waits for the first word, and sends all at once until one side ends it. */
function playSession(run: Run, index: number, { kind, messages, url, headers }: Session): Promise<void> {
  run.result.sessions += 1
  const began = performance.now()
  return new Promise((resolve) => {
    const ws = new WebSocket(url, { headers, perMessageDeflate: false })
    let timer = setTimeout(() => {
      run.result.unanswered += 1
      fail(run, index, `a ${kind} session neither ended nor answered`)
      end('silent')
    }, SESSION_TIMEOUT_MS)
    let spoken = false
    ws.on('message', () => {
      if (spoken) return
      spoken = true
      run.openMs.push(performance.now() - began)
      if (kind === 'live') ws.send('40')
      for (const message of messages) send(ws, message)
      run.result.messages += messages.length
      run.result.tried += messages.length
      ws.close()
      if (messages.at(-1)?.kind !== 'frame') return
      clearTimeout(timer)
      timer = setTimeout(() => end('within a frame'), HALF_FRAME_MS)
    })
    ws.on('error', () => undefined) // `close` follows
    ws.once('unexpected-response', (_request, response) => {
      if ((response.statusCode ?? 0) >= 500) run.result.undocumented += 1
      fail(run, index, `a ${kind} console with a good ticket was refused with ${response.statusCode}`)
      end(`refused ${response.statusCode}`)
    })
    ws.once('close', (code) => end(String(code)))
    function end(how: string): void {
      clearTimeout(timer)
      run.result.ends[`${kind} ${how}`] = (run.result.ends[`${kind} ${how}`] ?? 0) + 1
      ws.removeAllListeners('close')
      ws.terminate()
      resolve()
    }
  })
}

function send(ws: WebSocket, { kind, bytes }: FuzzMessage): void {
  if (ws.readyState !== ws.OPEN) return
  if (kind === 'frame') socketOf(ws)?.write(bytes)
  else ws.send(bytes, { binary: kind === 'binary' })
}

/** Below the library, which would never send such bytes. */
function socketOf(ws: WebSocket): { write(bytes: Buffer): void } | undefined {
  const { _socket: socket } = ws as unknown as { _socket?: { write(bytes: Buffer): void } } // it has no public name
  return socket
}

async function addressOf(run: Run, kind: Kind, random: Random) {
  const { lab } = run
  const headers = { authorization: `Bearer ${lab.tokens.student}` }
  const base = lab.url.replace('http', 'ws')
  if (kind === 'live') return { url: `${base}/socket.io/?EIO=4&transport=websocket`, headers }
  const nodeId = random.pick(run.running)
  const response = await fetch(`${lab.url}/api/nodes/${nodeId}/consoles`, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/json' },
    body: JSON.stringify({
      kind: kind === 'serial' ? 'serial' : 'screen',
      mode: kind === 'view' || (kind === 'serial' && random.chance(0.3)) ? 'view' : 'control',
    }),
  })
  if (response.status !== 201) return undefined
  const ticket = (await response.json()) as ConsoleTicket // our own API's answer
  return { url: base + ticket.url, headers }
}

async function runningNodes({ lab }: Run): Promise<string[]> {
  await lab.nodes()
  const headers = { authorization: `Bearer ${lab.tokens.student}` }
  const answer = await fetch(`${lab.url}/api/nodes`, { headers })
  const { nodes } = (await answer.json()) as { nodes: { id: string; status: string }[] }
  const ids = nodes.filter(({ status }) => status === 'running').map(({ id }) => id)
  if (ids.length === 0) throw new Error('no node runs, so there is no console to open')
  return ids
}

function fail(run: Run, index: number, what: string): void {
  run.result.ok = false
  if (run.result.failures.length < 50) run.result.failures.push(`seed ${run.options.seed} index ${index}: ${what}`)
}
