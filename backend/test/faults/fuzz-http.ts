import { exchange, openConnection, type Connection, type RawAnswer } from './fuzz-connection.js'
import { startFuzzLab, type FuzzLab } from './fuzz-lab.js'
import { seeded, type Random } from './fuzz-random.js'
import { rawBytes } from './fuzz-raw.js'
import { type Asker, bytesOf, type FuzzRequest, requestOf } from './fuzz-requests.js'
import { type OpenApi, type Operation, operationsOf } from './fuzz-schema.js'
import { emptyFuzzResult, MAX_MEMORY_GROWTH, SETTLED, type FuzzOptions, type FuzzResult } from './fuzz-result.js'
import { codeOf, faultOf } from './fuzz-verdict.js'

const CONNECTIONS = 4
/** Requests on one connection that wait for their answers. */
const DEPTH = 4
const CHUNK = 2500
/** Bytes that are no HTTP, each on a connection of its own. */
const RAW_SHARE = 0.1
const FAULTS_KEPT = 50

interface Run {
  lab: FuzzLab
  port: number
  document: OpenApi
  operations: Operation[]
  options: FuzzOptions
  result: FuzzResult
  ms: number[]
  fills: { nodes: string[]; cookie: string }
  /** Off while warming up: nothing counts but what is found. */
  counting: boolean
}

/**
 * Malformed requests, made from the API's own description, against a backend in a process of its own. Found: answers that
 * blame the server, answers without a shape, silence, exits, memory that stays. The seed makes the same requests again.
 */
export async function runFuzzedHttp(options: FuzzOptions): Promise<FuzzResult> {
  const lab = await startFuzzLab()
  try {
    const document = (await (await fetch(`${lab.url}/api/openapi.json`)).json()) as OpenApi // our own document
    const run: Run = {
      lab,
      port: Number(new URL(lab.url).port),
      document,
      operations: operationsOf(document),
      options,
      result: emptyFuzzResult(options.seed),
      ms: [],
      fills: { nodes: [], cookie: '' },
      counting: false,
    }
    if (options.index === undefined) await wholeRun(run)
    else await sendRange(run, [options.index])
    return run.result
  } finally {
    await lab.close()
  }
}

async function wholeRun(run: Run): Promise<void> {
  const { options, result, lab } = run
  const warmUp = Math.round(options.count / 5)
  await sendAll(run, options.count, warmUp)
  const before = await lab.memory()
  run.counting = true
  const began = performance.now()
  await sendAll(run, 0, options.count)
  result.perSecond = Math.round(options.count / ((performance.now() - began) / 1000))
  const after = lab.exit === undefined ? await lab.memory() : before
  result.memoryBytes = { before: before.rssBytes, after: after.rssBytes }
  result.heapBytes = { before: before.heapBytes, after: after.heapBytes }
  result.memoryGrowth = after.rssBytes / before.rssBytes - 1
  if (options.count >= SETTLED && result.memoryGrowth >= MAX_MEMORY_GROWTH) {
    result.ok = false
    result.failures.push(`seed ${options.seed}: resident memory grew by ${(100 * result.memoryGrowth).toFixed(1)} %`)
  }
  const sorted = run.ms.toSorted((one, other) => one - other)
  result.p50Ms = sorted[Math.floor(sorted.length / 2)] ?? 0
  result.p99Ms = sorted[Math.floor(sorted.length * 0.99)] ?? 0
}

async function sendAll(run: Run, from: number, count: number): Promise<void> {
  for (let at = from; at < from + count && run.lab.exit === undefined; at += CHUNK) {
    const length = Math.min(CHUNK, from + count - at)
    await sendRange(
      run,
      Array.from({ length }, (_, offset) => at + offset),
    )
    run.options.log(`${at - from + length} of ${count}${run.counting ? '' : ' to warm up'}, ${summary(run.result)}`)
  }
}

const summary = (result: FuzzResult) =>
  `${result.undocumented} undocumented 5xx, ${result.shapeless} without shape, ${result.unanswered} unanswered, ${result.exits} exits`

/** What is deleted by valid requests is made again first, so that the later ones still meet something. */
async function sendRange(run: Run, indexes: number[]): Promise<void> {
  run.fills = { nodes: await run.lab.nodes(), cookie: await run.lab.session() }
  const next = indexes.values()
  const lane = async () => {
    const connection = { current: openConnection(run.port) }
    const worker = async () => {
      for (const index of next) {
        if (run.lab.exit !== undefined) break
        await sendOne(run, index, connection)
      }
    }
    await Promise.all(Array.from({ length: DEPTH }, worker))
    connection.current.close()
  }
  await Promise.all(Array.from({ length: CONNECTIONS }, lane))
  if (run.lab.exit !== undefined) {
    run.result.exits += 1
    fail(run, indexes[0] ?? 0, `the backend ended (${run.lab.exit}): ${run.lab.complaints.slice(-20).join('\n')}`)
  }
}

async function sendOne(run: Run, index: number, connection: { current: Connection }): Promise<void> {
  const random = seeded(run.options.seed, index)
  if (run.counting) run.result.tried += 1
  if (random.chance(RAW_SHARE)) {
    const answer = await exchange(run.port, rawBytes(random, run.operations))
    if (answer === 'silent') {
      run.result.unanswered += 1
      fail(run, index, 'raw bytes: the connection stayed open without a word')
    } else if (answer === 'closed') count(run, 'raw, closed')
    else judgeRaw(run, index, answer)
    return
  }
  const request = requestOf(random, run.operations, run.document)
  const bytes = bytesOf(request, fillerOf(run, random), credentialsOf(run, request.asker))
  for (let attempt = 0; attempt < 5; attempt += 1) {
    if (!connection.current.isOpen) connection.current = openConnection(run.port)
    const answer = await connection.current.send(bytes, request.method)
    // Another request on this connection made the server end it: this one was never looked at.
    if (answer === 'closed') continue
    if (answer !== 'silent') return judge(run, index, request, answer)
    break
  }
  run.result.unanswered += 1
  fail(run, index, `${request.method} ${request.target.slice(0, 200)} was not answered`)
}

function judge(run: Run, index: number, request: FuzzRequest, answer: RawAnswer): void {
  if (run.counting) noteTime(run, index, request, answer.ms)
  const code = answer.status >= 400 && request.method !== 'HEAD' ? codeOf(answer) : undefined
  count(run, code === undefined ? String(answer.status) : `${answer.status} ${code}`)
  const fault = faultOf(answer, request)
  if (fault === undefined) return
  if (answer.status >= 500) run.result.undocumented += 1
  else run.result.shapeless += 1
  fail(run, index, `${request.asker}: ${request.method} ${request.target.slice(0, 200)}: ${fault}`)
}

function noteTime({ ms, result, options }: Run, index: number, request: FuzzRequest, took: number): void {
  ms.push(took)
  if (took <= result.slowestMs) return
  result.slowestMs = took
  result.slowest = `seed ${options.seed} index ${index}: ${request.method} ${request.target.slice(0, 200)}`
}

/** Node answers bytes that are no HTTP by itself, without a body; a 5xx would still be wrong. */
function judgeRaw(run: Run, index: number, answer: RawAnswer): void {
  count(run, `raw, ${answer.status}`)
  if (answer.status < 500 && answer.status > 0) return
  if (answer.status === 505) return
  run.result.undocumented += 1
  fail(run, index, `raw bytes were answered with ${answer.status}: ${answer.body.toString().slice(0, 200)}`)
}

function fillerOf({ fills, lab }: Run, random: Random): (text: string) => string {
  const places: Record<string, string> = {
    node: fills.nodes.length > 0 ? random.pick(fills.nodes) : '0',
    user: random.pick(lab.users),
    operation: '00000000-0000-4000-8000-000000000001',
  }
  return (text) => text.replaceAll(/@(node|user|operation)@/g, (_, name: string) => places[name] ?? '')
}

function credentialsOf({ lab, fills }: Run, asker: Asker): [string, string][] {
  if (asker === 'anonymous') return []
  if (asker === 'session') {
    return [
      ['Cookie', fills.cookie],
      ['X-Requested-With', 'sandlabx'],
    ]
  }
  return [['Authorization', `Bearer ${lab.tokens[asker]}`]]
}

function count(run: Run, what: string): void {
  if (run.counting) run.result.statuses[what] = (run.result.statuses[what] ?? 0) + 1
}

function fail(run: Run, index: number, what: string): void {
  run.result.ok = false
  if (run.result.failures.length < FAULTS_KEPT) {
    run.result.failures.push(`seed ${run.options.seed} index ${index}: ${what}`)
  }
}
