import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { checkFolder } from './checker.js'
import { createChurnModel, type ChurnFact, type ChurnModel } from './churn-model.js'
import { makeFixture } from './fixture.js'
import { note } from './points.js'
import { makePowerDisk, onCopy, type PowerDisk } from './power-disk.js'
import { newResult, randomOf, type PartOptions, type Result } from './result.js'
import { openRooms } from './rooms.js'

const run = promisify(execFile)

export const CHURN = fileURLToPath(new URL('churn.js', import.meta.url))

const MOUNT_OPTIONS = ['defaults', 'noauto_da_alloc,commit=1']
/** A round has a fresh disk and a fresh process. */
const CUTS_PER_ROUND = 25

export interface PowerOptions extends PartOptions {
  churn?: string
  cuts: number
}

/** The power fails while nodes are made, renamed and deleted: what was acknowledged is there when the machine is back. */
export async function runPowerCuts(options: PowerOptions): Promise<Result> {
  const result = newResult('power cut')
  const rounds = Math.ceil(options.cuts / CUTS_PER_ROUND / MOUNT_OPTIONS.length) * MOUNT_OPTIONS.length
  const perRound = Math.ceil(options.cuts / rounds)
  let acknowledged = 0
  for (let round = 0; round < rounds; round += 1) {
    const seed = options.seed + round
    const mountOptions = MOUNT_OPTIONS[round % MOUNT_OPTIONS.length] ?? ''
    options.log(`power cuts ${result.points} to ${result.points + perRound} of ${options.cuts}, ${mountOptions}`)
    acknowledged += await roundOf(options, mountOptions, seed, perRound, result)
  }
  const control = await controlRound(options)
  if (control.lost === 0) {
    result.failures.push({
      what: 'a writer without any fsync lost nothing: these cuts prove nothing',
      replay: '--only power',
    })
  }
  result.note = `${acknowledged} changes acknowledged; a writer without fsync lost some in ${control.lost} of ${control.cuts} cuts`
  return result
}

async function roundOf(
  options: PowerOptions,
  mountOptions: string,
  seed: number,
  cuts: number,
  result: Result,
): Promise<number> {
  const fixture = await makeFixture()
  try {
    return await cutting(
      options,
      { mountOptions, seed, mode: 'rooms', prepared: await fixture.copy('power') },
      cuts,
      async (path, model) => {
        const began = performance.now()
        const rooms = await openRooms(join(path, 'data'))
        const recoveryMs = performance.now() - began
        await rooms.close()
        const { seen, findings } = await checkFolder(join(path, 'data'))
        const { lost, half } = model.judge(new Set(seen.data.nodes.map(({ name }) => name)))
        findings.lost.push(...lost)
        findings.half.push(...half, ...(await damagedDisks(join(path, 'data'), seen.data.nodes)))
        result.points += 1
        note(result, findings, recoveryMs, `--only power --seed ${seed}`, options.log)
      },
    )
  } finally {
    await fixture.remove()
  }
}

/** The same cuts under a writer that says "done" without an fsync. */
async function controlRound(options: PowerOptions): Promise<{ cuts: number; lost: number }> {
  const cuts = options.short ? 5 : 20
  let lost = 0
  const about = { mountOptions: 'defaults', seed: options.seed, mode: 'control' as const, prepared: undefined }
  await cutting(options, about, cuts, async (path, _model, acknowledged) => {
    const text = await readFile(join(path, 'data/control.json'), 'utf8').catch(() => '')
    const number = /^\{"number":(\d+)\}$/.exec(text)?.[1]
    if (number === undefined || Number(number) < acknowledged) lost += 1
  })
  return { cuts, lost }
}

/** `acknowledged`: how many changes, when the power failed. */
type Look = (path: string, model: ChurnModel, acknowledged: number) => Promise<void>

interface Round {
  mountOptions: string
  seed: number
  mode: 'rooms' | 'control'
  /** What lies on the disk at first. */
  prepared: string | undefined
}

/** Lets a process work on a disk and cuts the power again and again. Returns how many changes were acknowledged. */
async function cutting(options: PowerOptions, round: Round, cuts: number, look: Look): Promise<number> {
  const room = await mkdtemp(join(tmpdir(), 'sandlabx-power-'))
  const disk = await makePowerDisk(room, round.mountOptions)
  const random = randomOf(round.seed)
  try {
    if (round.prepared) await run('cp', ['-a', '--sparse=always', round.prepared, join(disk.path, 'data')])
    else await run('mkdir', [join(disk.path, 'data')])
    await run('sync', ['-f', disk.path])
    const worker = startChurn(options.churn ?? CHURN, join(disk.path, 'data'), round)
    try {
      for (let cut = 0; cut < cuts; cut += 1) {
        await worker.progress(1 + Math.floor(random() * 12))
        await new Promise((resolve) => setTimeout(resolve, random() * 15))
        await cutOnce(disk, `cut-${cut}.img`, worker.model, look)
      }
    } finally {
      await worker.kill()
    }
    return worker.model.acknowledged()
  } finally {
    await disk.remove()
    await rm(room, { recursive: true, force: true })
  }
}

async function cutOnce(disk: PowerDisk, name: string, model: ChurnModel, look: Look): Promise<void> {
  const acknowledged = model.acknowledged()
  disk.freeze()
  const file = await disk.copy(name)
  // Whatever was said until now was said before the cut, or needed nothing of the disk since.
  const heard = model.copy()
  disk.resume()
  await onCopy(file, (path) => look(path, heard, acknowledged))
}

function startChurn(program: string, dataDir: string, { seed, mode }: Round) {
  const child = spawn(process.execPath, [program, dataDir, String(seed), mode], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NODE_OPTIONS: '' },
  })
  const model = createChurnModel()
  let stderr = ''
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
  createInterface({ input: child.stdout }).on('line', (line) => model.hear(JSON.parse(line) as ChurnFact))
  const ended = once(child, 'close')
  return {
    model,
    /** Resolves when so many more have been acknowledged. */
    async progress(more: number): Promise<void> {
      const before = model.acknowledged()
      const deadline = performance.now() + 30_000
      while (model.acknowledged() < before + more) {
        if (child.exitCode !== null) throw new Error(`the process that works on the disk ended: ${stderr}`)
        if (performance.now() > deadline) throw new Error('the process that works on the disk does nothing')
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
    },
    async kill(): Promise<void> {
      child.kill('SIGKILL')
      await ended
    },
  }
}

async function damagedDisks(
  dataDir: string,
  nodes: readonly { overlayFile: string; name: string }[],
): Promise<string[]> {
  const damaged: string[] = []
  for (const { overlayFile, name } of nodes.slice(0, 2)) {
    await run('qemu-img', ['check', '-q', '-f', 'qcow2', join(dataDir, 'overlays', overlayFile)]).catch(
      (error: unknown) => {
        damaged.push(`${name}: qemu-img check says ${String(error)}`)
      },
    )
  }
  return damaged
}
