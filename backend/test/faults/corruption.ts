import { createHash } from 'node:crypto'
import { copyFile, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isSandlabError } from '../../src/domain/error.js'
import { layoutOf } from '../../src/domain/layout.js'
import { STATE_SCHEMA } from '../../src/domain/state.js'
import { rebuildFromSidecars } from '../../src/state/rebuild.js'
import { openStore } from '../../src/state/store.js'
import { createLog } from '../../src/system/log.js'
import { makeFixture } from './fixture.js'
import { newResult, randomOf, type PartOptions, type Result } from './result.js'

const log = createLog('silent')

interface Damage {
  name: string
  /** What stands in the place of the good file; null: nothing. */
  make(good: Buffer): Buffer | null
  /** What must come of it. `good`: it can be read after all. */
  expect: 'damaged' | 'newer' | 'good'
}

/**
 * A state file that is damaged in every way that we know: never an empty start, never a wrong record, never a byte of
 * what could not be read lost. With a good `.prev` that is used; without one it is safe mode, and a rebuild brings back
 * the nodes.
 */
export async function runCorruption(options: PartOptions): Promise<Result> {
  const result = newResult('damaged state files')
  const fixture = await makeFixture()
  const prepared = await fixture.copy('state-to-damage')
  const good = await readFile(join(prepared, 'state/nodes-state.json'))
  const dataDir = await fixture.copy('damaged')
  try {
    const all = damages(good, randomOf(options.seed))
    for (const [index, damage] of all.entries()) {
      if (options.short && index % 8 !== 0) continue
      for (const previous of ['good', 'damaged', 'missing'] as const) {
        const wrong = await tryDamage(dataDir, prepared, damage, previous)
        result.points += 1
        const replay = `--only corruption --seed ${options.seed}`
        for (const text of wrong) result.failures.push({ what: `${damage.name}, .prev ${previous}: ${text}`, replay })
        result.half += wrong.length
      }
    }
    return result
  } finally {
    await fixture.remove()
  }
}

/** The classes of bytes that a state file has: each is flipped at several places. */
const CLASSES: [string, (byte: number) => boolean][] = [
  ['digit', (byte) => byte >= 0x30 && byte <= 0x39],
  ['letter', (byte) => (byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x7a],
  ['quote', (byte) => byte === 0x22],
  ['brace', (byte) => [0x7b, 0x7d, 0x5b, 0x5d].includes(byte)],
  ['colon or comma', (byte) => byte === 0x3a || byte === 0x2c],
  ['sign', (byte) => [0x2d, 0x2e, 0x5f, 0x2f].includes(byte)],
]
const FLIPS_PER_CLASS = 12

function damages(good: Buffer, random: () => number): Damage[] {
  const whole = good.toString()
  const as = (name: string, text: string | Buffer | null, expect: Damage['expect'] = 'damaged'): Damage => ({
    name,
    make: () => (text === null ? null : Buffer.from(text)),
    expect,
  })
  const flips = CLASSES.flatMap(([name, belongs]) => {
    const places = [...good.keys()].filter((at) => belongs(good[at] ?? 0))
    return Array.from({ length: FLIPS_PER_CLASS }, () => {
      const at = places[Math.floor(random() * places.length)] ?? 0
      const bytes = Buffer.from(good)
      // Another byte that can stand there: the harder case for a reader than a broken JSON.
      bytes[at] = (bytes[at] ?? 0) ^ (name === 'digit' || name === 'letter' ? 1 : 1 << Math.floor(random() * 7))
      return as(`${name} at ${at} flipped`, bytes, verdictOf(bytes))
    })
  })
  const ofSchema = (schema: number) => whole.replace(`"schema":${STATE_SCHEMA}`, `"schema":${schema}`)
  return [
    ...Array.from({ length: 50 }, (_, part) =>
      as(`cut off at ${part}/50`, good.subarray(0, Math.floor((good.length * part) / 50))),
    ),
    ...flips,
    as('missing', null),
    as('null', 'null'),
    as('[]', '[]'),
    as('a number', '5'),
    as('{}', '{}'),
    as('zeros', Buffer.alloc(good.length)),
    as('twice', `${whole}${whole}`),
    as('wrong checksum', whole.replace(/"sha256":"[0-9a-f]{64}"/, `"sha256":"${'0'.repeat(64)}"`)),
    as('no checksum', whole.replace(/"sha256":"[0-9a-f]{64}",/, '')),
    as('schema −1', ofSchema(-1)),
    as('of the next schema', ofSchema(STATE_SCHEMA + 1), 'newer'),
    as('of schema 99', ofSchema(99), 'newer'),
  ]
}

/** A flip in the revision, or in white space, changes nothing that is kept; one in `schema` may make it a newer one. */
function verdictOf(bytes: Buffer): Damage['expect'] {
  try {
    const parsed = JSON.parse(bytes.toString()) as Record<string, unknown>
    const { schema, revision, sha256, data } = parsed
    if (!Number.isInteger(schema) || !Number.isInteger(revision) || typeof sha256 !== 'string') return 'damaged'
    if (Number(schema) < 0 || Number(revision) < 0) return 'damaged'
    if (Number(schema) > STATE_SCHEMA) return 'newer'
    const sum = createHash('sha256').update(JSON.stringify(data)).digest('hex')
    return sum === sha256 && schema === STATE_SCHEMA ? 'good' : 'damaged'
  } catch {
    return 'damaged'
  }
}

async function tryDamage(
  dataDir: string,
  prepared: string,
  damage: Damage,
  previous: 'good' | 'damaged' | 'missing',
): Promise<string[]> {
  const layout = layoutOf(dataDir)
  const goodFile = join(prepared, 'state/nodes-state.json')
  const good = await readFile(goodFile)
  await rm(layout.state, { recursive: true, force: true })
  await mkdir(layout.state, { mode: 0o700 })
  const bytes = damage.make(good)
  if (bytes) await writeFile(layout.stateFile, bytes)
  if (previous === 'good') await copyFile(goodFile, `${layout.stateFile}.prev`)
  if (previous === 'damaged') await writeFile(`${layout.stateFile}.prev`, good.subarray(0, good.length - 9))
  const found = await opened(dataDir)
  const nodes = (JSON.parse(good.toString()) as { data: { nodes: unknown[] } }).data.nodes
  const wrong: string[] = []
  const expected = expectedOf(damage.expect, previous)
  if (found.how !== expected) wrong.push(`it was ${found.how} instead of ${expected}`)
  if (found.nodes !== undefined && found.nodes !== nodes.length) wrong.push(`${found.nodes} nodes of ${nodes.length}`)
  if (bytes && !(await isKept(layout.state, bytes))) wrong.push('the bytes that could not be read are gone')
  if (expected === 'safe mode') {
    const { nodes: rebuilt } = await rebuildFromSidecars(layout)
    if (rebuilt !== nodes.length) wrong.push(`${rebuilt} nodes were rebuilt of ${nodes.length}`)
    if (bytes && !(await isKept(layout.state, bytes))) wrong.push('the rebuild lost the bytes that could not be read')
  }
  return wrong
}

function expectedOf(damage: Damage['expect'], previous: 'good' | 'damaged' | 'missing'): string {
  if (damage === 'newer') return 'state_newer'
  if (damage === 'good') return 'opened'
  return previous === 'good' ? 'opened' : 'safe mode'
}

async function opened(dataDir: string): Promise<{ how: string; nodes?: number }> {
  try {
    const { store } = await openStore({ layout: layoutOf(dataDir), log })
    const nodes = store.data.nodes.length
    await store.close()
    return { how: 'opened', nodes }
  } catch (error) {
    if (!isSandlabError(error)) throw error
    const release = error.details?.['release']
    if (typeof release === 'function') await (release as () => Promise<void>)()
    return { how: error.code === 'safe_mode' ? 'safe mode' : error.code }
  }
}

async function isKept(folder: string, bytes: Buffer): Promise<boolean> {
  for (const name of await readdir(folder)) if ((await readFile(join(folder, name))).equals(bytes)) return true
  return false
}
