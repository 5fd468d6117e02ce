import { execFileSync, spawnSync } from 'node:child_process'
import { open, rm, stat } from 'node:fs/promises'
import { connect } from 'node:net'
import { overlayFile } from '../../src/domain/layout.js'
import type { EngineNode, NodeEngine } from '../../src/hosts/engine.js'
import { COUNT_ON_DISK, FIRST_COUNTED, READY } from '../support/tiny-guest.js'
import { untilSeen } from '../support/until.js'
import type { ProcessLab } from './process-lab.js'

/** A node whose guest writes ascending numbers to its disk, and prints a dot for each that the disk has taken. */
export interface CountingGuest {
  node: EngineNode
  /** Numbers that the guest knows to be on its disk. */
  taken(): number
  /** The longest time without a dot since the last call, in milliseconds. */
  longestGapMs(): number
  /** Waits until the guest has written `more` numbers from now on. */
  goesOn(more?: number): Promise<unknown>
  close(): void
}

const PATIENCE_MS = 20_000

export async function startCounting(engine: NodeEngine, lab: ProcessLab): Promise<CountingGuest> {
  const spec = lab.newSpec()
  await engine.ensureNode(spec, 'make').wait()
  const node = await engine.start(spec, 'start').wait()
  await untilSeen('the guest', async () => (await engine.serialTail(spec.id, 1000)).includes(READY), PATIENCE_MS)
  const line = connect(lab.paths(spec.id).serial)
  let taken = 0
  let last = performance.now()
  let gap = 0
  line.on('error', () => undefined)
  line.on('data', (chunk: Buffer) => {
    const now = performance.now()
    gap = Math.max(gap, now - last)
    last = now
    for (const byte of chunk) taken += byte === 0x2e ? 1 : 0
  })
  line.write(COUNT_ON_DISK)
  const goesOn = (more = 10) => {
    const goal = taken + more
    return untilSeen(`${more} more numbers on the disk`, async () => taken >= goal, PATIENCE_MS)
  }
  await goesOn(20)
  return {
    node,
    taken: () => taken,
    goesOn,
    longestGapMs() {
      const found = gap
      gap = 0
      return found
    },
    close: () => line.destroy(),
  }
}

/** How many numbers are on a disk; rejects when one is missing in between: then it is no state that ever was. */
export async function numbersOn(qcow2: string): Promise<number> {
  const raw = `${qcow2}.raw`
  execFileSync('qemu-img', ['convert', '-f', 'qcow2', '-O', 'raw', qcow2, raw])
  const disk = await open(raw, 'r')
  try {
    const bytes = Buffer.alloc((await stat(raw)).size)
    await disk.read(bytes, 0, bytes.length, 0)
    const numberAt = (sector: number) => bytes.readUInt32LE(sector * 512)
    const sectors = bytes.length / 512
    let next = FIRST_COUNTED
    while (next < sectors && numberAt(next) === next) next += 1
    for (let rest = next; rest < sectors; rest += 1) {
      if (numberAt(rest) !== 0) throw new Error(`sector ${next} was never written, sector ${rest} was`)
    }
    return next - FIRST_COUNTED
  } finally {
    await disk.close()
    await rm(raw)
  }
}

/** Space that is given to nobody, which a killed QEMU may leave: no data is lost by it. */
const ONLY_LEAKS = 3

/** The numbers on the disk of a node that has ended, which QEMU finds sound. */
export async function numbersOfNode(lab: ProcessLab, guest: CountingGuest): Promise<number> {
  const overlay = overlayFile(lab.layout, guest.node.id)
  const { status, stderr } = spawnSync('qemu-img', ['check', '-q', '-f', 'qcow2', overlay], { encoding: 'utf8' })
  if (status !== 0 && status !== ONLY_LEAKS) throw new Error(`${overlay} is not sound: ${stderr}`)
  return numbersOn(overlay)
}
