import { execFile, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import express from 'express'
import { DEFAULT_SETTINGS } from '../src/domain/drive.js'
import { imageIdSchema, nodeIdSchema, userIdSchema } from '../src/domain/ids.js'
import { overlayFileName } from '../src/domain/layout.js'
import type { NodeRecord } from '../src/domain/node.js'
import { macOf } from '../src/hosts/machine.js'
import { createLog } from '../src/system/log.js'
import { layoutOf } from '../src/domain/layout.js'
import { openStore } from '../src/state/store.js'
import { addTestImage } from '../test/support/test-image.js'
import { databaseUrl, startTestLab } from '../test/support/lab.js'
import { startTestPostgres } from '../test/support/postgres.js'
import type { Bench } from './bench.js'
import { paired } from './bench.js'
import { startRealLab } from '../test/support/real-lab.js'

const run = promisify(execFile)

export const benches: Bench[] = [
  {
    name: 'GET /api/nodes with 1,000 nodes, against the same bytes from a bare Express route',
    goal: 3,
    run: listNodes,
  },
  { name: 'node create over the API, against qemu-img create of its overlay', goal: 3, run: createNode },
  { name: 'resident memory of the backend with 1,000 stopped nodes', goal: 220, unit: 'MiB', run: residentMemory },
]

async function listNodes() {
  const lab = await startTestLab()
  const { services } = lab.backend
  const store = services.lab!.store
  const image = await addTestImage(services.config.layout, store)
  const person = await lab.person('administrator')
  await store.change((draft) => void draft.nodes.push(...manyRecords(1000, person.id, image.fingerprint)))
  const bytes = await fetchText(`${lab.url}/api/nodes`, person.token)
  const bare = express()
  bare.get('/nodes', (_request, response) => void response.type('json').send(bytes))
  const server = bare.listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const plainUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/nodes`
  const result = await paired(
    () => fetchText(`${lab.url}/api/nodes`, person.token),
    () => fetchText(plainUrl, ''),
    60,
  )
  server.close()
  await lab.close()
  return {
    ratio: result.ratio,
    detail: `${bytes.length} bytes: ${result.oursMs.toFixed(1)} ms against ${result.plainMs.toFixed(1)} ms`,
  }
}

async function fetchText(url: string, token: string): Promise<string> {
  const response = await fetch(url, { headers: { authorization: `Bearer ${token}`, 'accept-encoding': 'identity' } })
  return response.text()
}

async function createNode() {
  const lab = await startRealLab()
  const { services } = lab.backend
  await addTestImage(services.config.layout, services.lab!.store)
  const person = await lab.person('administrator')
  let count = 0
  const ours = () => person.send('POST', '/api/nodes', { name: `n-${(count += 1)}`, image: 'empty' })
  const plain = () =>
    run('qemu-img', [
      'create',
      '-q',
      '-f',
      'qcow2',
      '-b',
      '../images/empty.qcow2',
      '-F',
      'qcow2',
      '-o',
      'cluster_size=128k,extended_l2=on',
      `${services.config.layout.overlays}/plain-${count}.qcow2`,
    ])
  const result = await paired(ours, plain, 40)
  await lab.close()
  return { ratio: result.ratio, detail: `${result.oursMs.toFixed(1)} ms against ${result.plainMs.toFixed(1)} ms` }
}

/** The built backend as a process of its own, so that this one's heap is not counted. */
async function residentMemory() {
  const dataDir = await mkdtemp(join(tmpdir(), 'sandlabx-bench-'))
  const layout = layoutOf(dataDir)
  const database = await startTestPostgres()
  const { store } = await openStore({ layout, log: createLog('silent') })
  const image = await addTestImage(layout, store)
  await store.change((draft) => void draft.nodes.push(...manyRecords(1000, randomUUID(), image.fingerprint)))
  await store.close()
  const backend = spawn(process.execPath, [new URL('../../dist/main.js', import.meta.url).pathname], {
    env: {
      PATH: process.env['PATH'],
      SANDLABX_DATA: dataDir,
      SANDLABX_PORT: '0',
      SANDLABX_LOG_LEVEL: 'silent',
      DATABASE_URL: databaseUrl(database.connection),
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  try {
    const url = await new Promise<string>((resolve, reject) => {
      backend.once('exit', (code) => reject(new Error(`the backend ended with ${code}`)))
      backend.stdout.on('data', (chunk: Buffer) => {
        const found = /listens on (\S+)/.exec(chunk.toString())
        if (found?.[1] !== undefined) resolve(found[1])
      })
    })
    const token = await readFile(`${dataDir}/state/local-token`, 'utf8')
    for (let i = 0; i < 20; i += 1) await fetchText(`${url}/api/nodes`, token)
    const status = await readFile(`/proc/${backend.pid}/status`, 'utf8')
    const mib = Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024
    return { ratio: mib, detail: 'VmRSS after 20 lists' }
  } finally {
    backend.kill('SIGTERM')
    await new Promise((resolve) => backend.once('close', resolve))
    await database.stop()
    await rm(dataDir, { recursive: true, force: true })
  }
}

export function manyRecords(count: number, ownerId: string, base: NodeRecord['base']): NodeRecord[] {
  return Array.from({ length: count }, (_, i) => {
    const id = nodeIdSchema.parse(randomUUID())
    const at = new Date().toISOString()
    return {
      id,
      name: `node-${i}`,
      ownerId: userIdSchema.parse(ownerId),
      imageId: imageIdSchema.parse('empty'),
      base,
      backing: { kind: 'image' },
      rootDrive: DEFAULT_SETTINGS,
      drives: [],
      drivesChangedAt: null,
      snapshotSchedule: null,
      suspended: null,
      onStop: null,
      recording: null,
      keyboard: null,
      agent: false,
      cpus: 1,
      memoryMib: 256,
      diskBytes: 16 * 1024 * 1024,
      overlayFile: overlayFileName(id),
      mac: macOf(id),
      internet: false,
      guest: { user: 'student', passwordHash: null, sshKeys: [] },
      desired: 'stopped',
      lastExit: null,
      generation: 0,
      createdAt: at,
      updatedAt: at,
      events: [{ at, kind: 'created', text: 'Created from a benchmark.', actorLogin: 'bench' }],
    }
  })
}
