import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DEFAULT_LIMITS, maxConvertedBytes, maxCpuSeconds } from '../../src/images/image-limits.js'
import { readQcow2Header } from '../../src/system/qcow2.js'
import { runCommand } from '../../src/system/command.js'
import { HOSTILE_IMAGES } from '../support/hostile-images.js'
import { seeded } from './fuzz-random.js'
import { compileProgram, type Program } from './fuzz-program.js'
import { makeBases, type BaseImage } from './hostile-bases.js'
import type { ImportJobs, ImportOutcome, ImportResults } from './hostile-importer.js'
import { mutate } from './hostile-mutations.js'
import { watchDisk } from './hostile-disk.js'
import { emptyHostileResult, type HostileResult } from './hostile-result.js'
import { readTrace, TRACED_CALLS, type Seen } from './hostile-trace.js'

export interface HostileOptions {
  seed: number
  /** Mutants; the crafted files come on top. */
  count: number
  log: (line: string) => void
  /** Only this one again: a crafted file below the number of crafted files, a mutant above. */
  index?: number
}

const BATCH = 500
const MAX_VERDICT_MS = 3000
const MAX_MEMORY_BYTES = 1024 ** 3
/** The largest file that is tried here, rounded up; limits grow with the file. */
const MAX_GIVEN_BYTES = 128 * 1024 ** 2
const BATCH_TIMEOUT_MS = 20 * 60_000

interface Bench {
  folder: string
  given: string
  data: string
  kept: string
  decoy: string
  bases: BaseImage[]
  program: Program
  result: HostileResult
  options: HostileOptions
  ms: number[]
}

/**
 * Crafted and mutated images through the import room, in a process without a network whose every open, socket and program
 * the kernel reports. The seed makes the same mutants again. Needs strace, unshare and qemu-utils.
 */
export async function runHostileImages(options: HostileOptions): Promise<HostileResult> {
  const folder = await mkdtemp(join(tmpdir(), 'sandlabx-hostile-'))
  const result = emptyHostileResult(options.seed)
  const bench: Bench = {
    folder,
    given: join(folder, 'given'),
    data: join(folder, 'data'),
    kept: join(folder, 'kept'),
    decoy: join(folder, 'decoy'),
    bases: [],
    program: await compileProgram(),
    result,
    options,
    ms: [],
  }
  try {
    await writeFile(bench.decoy, 'a secret of this server\n'.repeat(64))
    bench.bases = await makeBases(folder, bench.decoy)
    const total = HOSTILE_IMAGES.length + options.count
    const indexes = options.index === undefined ? Array.from({ length: total }, (_, i) => i) : [options.index]
    for (let at = 0; at < indexes.length; at += BATCH) {
      await runBatch(bench, indexes.slice(at, at + BATCH))
      options.log(`${Math.min(at + BATCH, indexes.length)} of ${indexes.length} images, ${summary(result)}`)
    }
  } finally {
    await bench.program.remove()
    await rm(folder, { recursive: true, force: true })
  }
  return finished(bench)
}

const summary = (result: HostileResult) =>
  `${result.outsideOpens} outside opens, ${result.connections} connections, ${result.overruns} overruns, slowest ${Math.round(result.slowestMs)} ms`

async function runBatch(bench: Bench, indexes: number[]): Promise<void> {
  const { given, kept, data, folder } = bench
  for (const path of [given, kept]) await mkdir(path, { recursive: true })
  for (const index of indexes) await makeFile(bench, index)
  const jobs: ImportJobs = {
    data,
    kept,
    results: join(folder, 'results.json'),
    decoy: bench.decoy,
    files: indexes.map((index) => ({ index, path: join(given, String(index)) })),
  }
  await writeFile(join(folder, 'jobs.json'), JSON.stringify(jobs))
  const disk = watchDisk(data)
  try {
    await runWatched(bench, join(folder, 'jobs.json'), join(folder, 'trace'))
  } finally {
    bench.result.peakDiskBytes = Math.max(bench.result.peakDiskBytes, await disk.stop())
  }
  const results = JSON.parse(await readFile(jobs.results, 'utf8')) as ImportResults // written by hostile-importer.ts
  for (const outcome of results.outcomes) await judge(bench, outcome)
  judgeTrace(bench, await readTrace(join(folder, 'trace'), allowedOf(bench)))
  judgeMemory(bench, results.peakMemoryBytes)
  for (const path of [given, kept, data]) await rm(path, { recursive: true, force: true })
}

async function makeFile(bench: Bench, index: number): Promise<void> {
  const path = join(bench.given, String(index))
  const crafted = HOSTILE_IMAGES[index]
  if (crafted) {
    const place = join(bench.given, `beside-${index}`)
    await mkdir(place)
    await crafted.make(path, { folder: place, decoy: bench.decoy })
  } else {
    await writeFile(path, mutantOf(bench, index).bytes)
  }
}

function mutantOf({ bases, decoy, options }: Bench, index: number) {
  const random = seeded(options.seed, index)
  const base = random.pick(bases)
  return { base: base.name, ...mutate(base.bytes, random, decoy) }
}

/** The names of what is run lie apart from a person's own: an empty network, and the kernel's report of every call. */
async function runWatched({ program }: Bench, jobs: string, trace: string): Promise<void> {
  const alone = process.getuid?.() === 0 ? ['-n'] : ['-U', '--map-current-user', '-n']
  const strace = ['strace', '-f', '--seccomp-bpf', '-q', '-Y', '-y', '-s', '4096', '-e', `trace=${TRACED_CALLS}`]
  const node = [process.execPath, program.path('test/faults/hostile-importer.js'), jobs]
  await runCommand('unshare', [...alone, ...strace, '-o', trace, ...node], {
    timeoutMs: BATCH_TIMEOUT_MS,
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
  })
}

function allowedOf({ folder, data, given, program }: Bench) {
  return {
    ofImporter: [`${data}/images`, `${data}/state`, `${folder}/kept/`, `${folder}/results.json`, program.path('')],
    fileOf: (index: number) => join(given, String(index)),
    staging: join(data, 'images/.staging'),
    limits: {
      AS: DEFAULT_LIMITS.converterMemoryBytes,
      FSIZE: maxConvertedBytes(MAX_GIVEN_BYTES),
      CPU: maxCpuSeconds(DEFAULT_LIMITS, MAX_GIVEN_BYTES),
    },
  }
}

async function judge(bench: Bench, { index, verdict, ms, left }: ImportOutcome): Promise<void> {
  const { result } = bench
  result.tried += 1
  const crafted = HOSTILE_IMAGES[index]
  if (crafted) {
    result.crafted += 1
    result.threats[crafted.threat] = (result.threats[crafted.threat] ?? 0) + 1
  } else {
    result.mutants += 1
  }
  result.verdicts[verdict] = (result.verdicts[verdict] ?? 0) + 1
  bench.ms.push(ms)
  result.slowestMs = Math.max(result.slowestMs, ms)
  if (ms > MAX_VERDICT_MS) {
    result.slow += 1
    fail(bench, index, `the verdict took ${Math.round(ms)} ms`)
  }
  if (left.length > 0) {
    result.overruns += 1
    fail(bench, index, `left behind: ${left.join(', ')}`)
  }
  if (verdict === 'imported') await judgeAccepted(bench, index)
  else if (!verdict.startsWith('image_refused')) fail(bench, index, `ended as ${verdict}`)
}

/** What was taken must be sound by QEMU's word and tied to no other file. */
async function judgeAccepted(bench: Bench, index: number): Promise<void> {
  const path = join(bench.kept, String(index))
  if (index < HOSTILE_IMAGES.length) fail(bench, index, 'a crafted file was taken')
  const given = await stat(join(bench.given, String(index)))
  const { size } = await stat(path)
  if (size > maxConvertedBytes(given.size)) {
    bench.result.overruns += 1
    fail(bench, index, `${given.size} bytes became ${size}`)
  }
  const header = await readQcow2Header(path)
  const tied = header.backingFileOffset !== 0 || header.incompatible.includes('data-file') || header.cryptMethod !== 0
  if (tied || header.snapshotCount !== 0 || header.unknownIncompatibleBits !== 0n) {
    fail(bench, index, 'what was taken is not a plain image')
  }
  await runCommand('qemu-img', ['check', '-q', '-f', 'qcow2', path], { timeoutMs: 60_000 }).catch((error: unknown) =>
    fail(bench, index, `what was taken is damaged: ${String(error)}`),
  )
}

function judgeTrace(bench: Bench, seen: Seen): void {
  const { result } = bench
  result.opensSeen += seen.opens
  if (seen.canaries !== 1) fail(bench, -1, 'what was done on purpose was not seen: this proves nothing')
  result.outsideOpens += seen.outside.length
  result.connections += seen.connections.length
  result.overruns += seen.unlimited.length
  for (const [tool, times] of Object.entries(seen.tools)) {
    result.toolsRun[tool] = (result.toolsRun[tool] ?? 0) + times
  }
  for (const { index, program, what } of [...seen.outside, ...seen.connections, ...seen.unlimited]) {
    fail(bench, index, `${program}: ${what}`)
  }
}

function judgeMemory(bench: Bench, peakMemoryBytes: number): void {
  bench.result.peakMemoryBytes = Math.max(bench.result.peakMemoryBytes, peakMemoryBytes)
  if (peakMemoryBytes <= MAX_MEMORY_BYTES) return
  bench.result.overruns += 1
  fail(bench, -1, `the importing process held ${peakMemoryBytes} bytes of memory`)
}

function fail(bench: Bench, index: number, what: string): void {
  const crafted = HOSTILE_IMAGES[index]
  const name = crafted?.title ?? (index < 0 ? 'a batch' : describe(bench, index))
  if (bench.result.failures.length < 50) {
    bench.result.failures.push(`seed ${bench.options.seed} index ${index} (${name}): ${what}`)
  }
  bench.result.ok = false
}

function describe(bench: Bench, index: number): string {
  const { base, steps } = mutantOf(bench, index)
  return `${base}: ${steps.join(', ')}`
}

function finished({ result, ms }: Bench): HostileResult {
  const sorted = ms.toSorted((one, other) => one - other)
  result.p99Ms = sorted[Math.floor(sorted.length * 0.99)] ?? 0
  return result
}
