import { chmod, lstat, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createNodeSchema } from '../../src/domain/node.js'
import { imageIdSchema } from '../../src/domain/ids.js'
import { imageSchema } from '../../src/domain/image.js'
import { writeImageSidecar } from '../../src/storage/image-sidecars.js'
import { databaseUrl } from '../support/lab.js'
import { startTestPostgres } from '../support/postgres.js'
import { makeTinyImage } from '../support/tiny-guest.js'
import { exitOfBackend, startBackendProcess, type BackendPlace, type BackendProcess } from './backend-process.js'
import { checkFolder } from './checker.js'
import { newResult, randomOf, type PartOptions, type Result } from './result.js'
import { ACTOR, openRooms } from './rooms.js'

/** The compiled process of the product, beside this file when that is compiled too. */
export const MAIN = fileURLToPath(new URL('../../src/main.js', import.meta.url))

const RUNNING_NODES = 10

export interface BackendsOptions extends PartOptions {
  main?: string
}

/** Whole backends with PostgreSQL and real QEMUs: two at once, many clients at once, and kill -9 while nodes run. */
export async function runBackends(options: BackendsOptions): Promise<Result[]> {
  const database = await startTestPostgres()
  const dataDir = await mkdtemp(join(tmpdir(), 'sbx-'))
  const main = options.main ?? MAIN
  try {
    // It reads its version from here.
    await writeFile(join(dirname(main), '../package.json'), '{"type":"module","version":"0.0.0"}\n')
    await prepare(dataDir)
    const place = { main, dataDir, databaseUrl: databaseUrl(database.connection) }
    const results: Result[] = []
    for (const part of [twoBackends, concurrentChanges, racingStarts, restarts, killedWhileAsked]) {
      options.log(`whole backends: ${part.name}`)
      results.push(await part(place, options))
    }
    return results
  } finally {
    await endGuests(dataDir)
    await database.stop()
    await rm(dataDir, { recursive: true, force: true })
  }
}

/** The tiny guest as a base image, and nodes over it. */
async function prepare(dataDir: string): Promise<void> {
  await chmod(dataDir, 0o755)
  await mkdir(join(dataDir, 'images'), { recursive: true })
  const rooms = await openRooms(dataDir)
  const made = await makeTinyImage(rooms.layout)
  const image = imageSchema.parse({
    ...made,
    id: imageIdSchema.parse('tiny-guest'),
    title: 'Tiny guest',
    description: '',
    origin: 'built',
    version: '1',
    bootFiles: {},
    firmware: 'bios',
    directBoot: null,
    cloudInit: false,
    loginNotes: '',
    minimumMemoryMib: 64,
    createdAt: new Date().toISOString(),
  })
  await rooms.store.change((draft) => void draft.images.push(image))
  await writeImageSidecar(rooms.layout, image)
  for (let number = 1; number <= RUNNING_NODES; number += 1) {
    await rooms.nodes.create(createNodeSchema.parse({ name: `guest-${number}`, image: 'tiny-guest' }), ACTOR)
  }
  await rooms.close()
}

async function twoBackends(place: BackendPlace): Promise<Result> {
  const result = newResult('a second backend on the same state')
  const first = await startBackendProcess(place)
  try {
    const before = await everything(place.dataDir)
    const { how, stderr } = await exitOfBackend(place)
    result.points = 1
    if (how !== 75) fail(result, `the second ended with ${how} instead of 75: ${stderr}`)
    if ((await everything(place.dataDir)) !== before) fail(result, 'the second changed a file')
    if ((await first.send('GET', '/api/nodes')).status !== 200) fail(result, 'the first no longer answers')
    return result
  } finally {
    await first.kill('SIGTERM')
  }
}

/** Names, times and places of all that must not be touched. */
async function everything(dataDir: string): Promise<string> {
  const lines: string[] = []
  for (const folder of ['state', 'overlays', 'images']) {
    for (const entry of await readdir(join(dataDir, folder), { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name)
      const { ino, size, mtimeMs, ctimeMs } = await lstat(path)
      lines.push([path, ino, size, mtimeMs, ctimeMs].join(' '))
    }
  }
  return lines.toSorted().join('\n')
}

/** 500 creates at once, each sent three times with its key. */
async function concurrentChanges(place: BackendPlace, { short }: PartOptions): Promise<Result> {
  const result = newResult('concurrent changes, each sent 3 times')
  const count = short ? 100 : 500
  const backend = await startBackendProcess(place)
  const began = performance.now()
  try {
    const before = await namesOf(backend)
    const asks = Array.from({ length: 3 * count }, (_, index) => index % count)
    const answers = await Promise.all(asks.map((number) => createOnce(backend, `many-${number}`)))
    result.points = asks.length
    const ids = new Map<number, Set<string>>()
    for (const [index, { status, body }] of answers.entries()) {
      const number = asks[index] ?? 0
      if (status !== 201) fail(result, `many-${number} was answered with ${status}: ${JSON.stringify(body)}`)
      ids.set(number, (ids.get(number) ?? new Set()).add(String(body?.node?.id)))
    }
    for (const [number, found] of ids) if (found.size !== 1) fail(result, `many-${number} has ${found.size} answers`)
    const made = (await namesOf(backend)).length - before.length
    if (made !== count) fail(result, `${made} nodes were made instead of ${count}`)
    result.lost = Math.max(0, count - made)
    result.note = `${count} nodes in ${((performance.now() - began) / 1000).toFixed(1)} s`
  } finally {
    await backend.kill('SIGTERM')
  }
  await lookAround(place, result)
  return result
}

/** 1,000 starts of one node at once are one QEMU. */
async function racingStarts(place: BackendPlace, { short }: PartOptions): Promise<Result> {
  const result = newResult('racing starts of one node')
  const count = short ? 200 : 1000
  const backend = await startBackendProcess(place)
  try {
    const id = await idOfNode(backend, 'guest-1')
    const answers = await Promise.all(
      Array.from({ length: count }, () => backend.send('POST', `/api/nodes/${id}/start`)),
    )
    result.points = count
    const unexpected = answers.find(({ status, body }) => status !== 200 && body?.error?.code !== 'wrong_status')
    if (unexpected) fail(result, `a start was answered with ${unexpected.status}: ${JSON.stringify(unexpected.body)}`)
    const processes = await qemusOf(id)
    if (processes.length !== 1) fail(result, `${processes.length} QEMUs run it`)
    const found = (await backend.send('GET', `/api/nodes/${id}/events`)).body
    const starts = JSON.stringify(found).split('"started"').length - 1
    if (starts !== 1) fail(result, `its history has ${starts} starts`)
    result.note = `${answers.filter(({ status }) => status === 200).length} answers say that it runs`
    return result
  } finally {
    await backend.kill('SIGTERM')
  }
}

/** kill -9 of the backend while nodes run, again and again. */
async function restarts(place: BackendPlace, { short }: PartOptions): Promise<Result> {
  const result = newResult(`kill -9 with ${RUNNING_NODES} running nodes`)
  const rounds = short ? 5 : 100
  let backend = await startBackendProcess(place)
  try {
    const ids: string[] = []
    for (let number = 1; number <= RUNNING_NODES; number += 1) {
      const id = await idOfNode(backend, `guest-${number}`)
      ids.push(id)
      const { status, body } = await backend.send('POST', `/api/nodes/${id}/start`)
      if (status !== 200 && body?.error?.code !== 'wrong_status')
        fail(result, `guest-${number} does not start: ${status}`)
    }
    const before = await allQemus(ids)
    for (let round = 0; round < rounds; round += 1) {
      await backend.kill('SIGKILL')
      backend = await startBackendProcess(place)
      result.points += 1
      result.recoveryMs.push(backend.readyMs)
      const after = await allQemus(ids)
      if (after !== before) fail(result, `round ${round}: the QEMUs are others: ${before} → ${after}`)
      const { nodes } = (await backend.send('GET', '/api/nodes')).body as { nodes: { id: string; status: string }[] }
      const down = nodes.filter((node) => ids.includes(node.id) && node.status !== 'running')
      if (down.length > 0) fail(result, `round ${round}: ${down.length} nodes are not shown as running`)
    }
    for (const id of ids) await backend.send('POST', `/api/nodes/${id}/stop`, { now: true })
    const left = await allQemus(ids)
    if (left.replaceAll(/[ ,]/g, '') !== '') fail(result, `QEMUs are left after stop: ${left}`)
  } finally {
    await backend.kill('SIGTERM')
  }
  await lookAround(place, result)
  return result
}

/** kill -9 while a client asks; it asks again with the same key. Then: one node and one line of the audit log for each. */
async function killedWhileAsked(place: BackendPlace, { short, seed }: PartOptions): Promise<Result> {
  const result = newResult('kill -9 while clients ask, with audit')
  const random = randomOf(seed)
  const rounds = short ? 5 : 60
  const acknowledged: string[] = []
  const asked: string[] = []
  let backend = await startBackendProcess(place)
  try {
    for (let round = 0; round < rounds; round += 1) {
      const names = Array.from({ length: 4 }, (_, index) => `asked-${round}-${index}`)
      asked.push(...names)
      const running = names.map((name) => createOnce(backend, name).catch(() => undefined))
      // From before the first answer to after the last.
      const enough = running.slice(0, Math.floor(random() * (names.length + 1)))
      await Promise.race([Promise.all(enough), new Promise((resolve) => setTimeout(resolve, 5000))])
      await new Promise((resolve) => setTimeout(resolve, random() * 20))
      await backend.kill('SIGKILL')
      const answers = await Promise.all(running)
      acknowledged.push(...names.filter((_, index) => answers[index]?.status === 201))
      backend = await startBackendProcess(place)
      result.points += 1
      result.recoveryMs.push(backend.readyMs)
      const there = await namesOf(backend)
      const lost = acknowledged.filter((name) => !there.includes(name))
      result.lost += lost.length
      if (lost.length > 0) fail(result, `acknowledged and not there: ${lost.join(', ')}`)
      for (const name of names) {
        const { status, body } = await createOnce(backend, name)
        if (status !== 201) fail(result, `${name}, asked again: ${status} ${JSON.stringify(body)}`)
      }
    }
    const there = (await namesOf(backend)).filter((name) => name.startsWith('asked-'))
    if (there.length !== asked.length) fail(result, `${there.length} nodes instead of ${asked.length}`)
    await lookAtAudit(backend, acknowledged, result)
    result.note = `${acknowledged.length} of ${asked.length} creates were acknowledged before the kill`
  } finally {
    await backend.kill('SIGTERM')
  }
  await lookAround(place, result)
  return result
}

/** I8. The answer comes after the line, so what was acknowledged has one. */
async function lookAtAudit(backend: BackendProcess, acknowledged: string[], result: Result): Promise<void> {
  const lines: string[] = []
  let before = ''
  do {
    const { body } = await backend.send('GET', `/api/audit?action=node.create&limit=500${before}`)
    const { entries, next } = body as { entries: unknown[]; next: string | null }
    lines.push(...entries.map((entry) => JSON.stringify(entry)))
    before = next === null ? '' : `&before=${encodeURIComponent(next)}`
  } while (before !== '')
  for (const name of acknowledged) {
    const found = lines.filter((line) => line.includes(`"${name}"`)).length
    if (found === 0) fail(result, `the audit log does not know ${name}`)
  }
}

const createOnce = (backend: BackendProcess, name: string) =>
  backend.send('POST', '/api/nodes', { name, image: 'tiny-guest', memoryMib: 64 }, { 'idempotency-key': `key-${name}` })

async function namesOf(backend: BackendProcess): Promise<string[]> {
  const { body } = await backend.send('GET', '/api/nodes')
  return (body as { nodes: { name: string }[] }).nodes.map(({ name }) => name)
}

async function idOfNode(backend: BackendProcess, name: string): Promise<string> {
  const { body } = await backend.send('GET', '/api/nodes')
  const found = (body as { nodes: { id: string; name: string }[] }).nodes.find((node) => node.name === name)
  if (!found) throw new Error(`there is no node ${name}`)
  return found.id
}

/** The checker of all parts, on the folder that the backend has left. */
async function lookAround(place: BackendPlace, result: Result): Promise<void> {
  const { findings } = await checkFolder(place.dataDir)
  result.half += findings.half.length
  result.leaked += findings.leaked.length
  for (const text of [...findings.half, ...findings.leaked]) fail(result, text)
}

function fail(result: Result, what: string): void {
  result.failures.push({ what, replay: '--only backends' })
}

/** Pids of the QEMUs whose arguments have this node's UUID. */
async function qemusOf(id: string): Promise<number[]> {
  const pids: number[] = []
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const line = (await readFile(`/proc/${name}/cmdline`, 'utf8').catch(() => '')).split('\0')
    if (line[0]?.includes('qemu-system') === true && line.includes(id)) pids.push(Number(name))
  }
  return pids
}

const allQemus = async (ids: string[]) => (await Promise.all(ids.map(qemusOf))).map((pids) => pids.join(' ')).join(',')

/** Whatever went wrong: no guest of ours outlives this. */
async function endGuests(dataDir: string): Promise<void> {
  const text = await readFile(`${dataDir}/state/nodes-state.json`, 'utf8').catch(() => '{}')
  const { data } = JSON.parse(text) as { data?: { nodes: { id: string }[] } }
  const ids = (data?.nodes ?? []).map(({ id }) => id)
  const pids = (await Promise.all(ids.slice(0, RUNNING_NODES).map(qemusOf))).flat()
  for (const pid of pids) process.kill(pid, 'SIGKILL')
}
