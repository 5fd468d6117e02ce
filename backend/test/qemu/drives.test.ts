import { chmod, mkdtemp, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import type { DriveView } from '../../src/domain/drive.js'
import { layoutOf } from '../../src/domain/layout.js'
import type { NodeEngine } from '../../src/hosts/engine.js'
import { listTrash } from '../../src/storage/trash-store.js'
import { provideImage } from '../support/built-images.js'
import { checkDisk } from '../support/disks.js'
import { type Person } from '../support/lab.js'
import { openTerminal, type GuestTerminal } from './guest-terminal.js'
import { qemusIn } from './process-lab.js'
import { startRealLab, type RealLab } from '../support/real-lab.js'

const MINUTES = 60_000
const MIB = 1024 ** 2
const PASSWORD = 'correct horse'
/** Each disk of the guest as `serial sectors read-only`. */
const DISKS = 'for d in /sys/block/vd*; do echo "$(cat $d/serial) $(cat $d/size) $(cat $d/ro)"; done'
const deviceOf = (id: string) => `/dev/$(grep -lx ${id} /sys/block/vd*/serial | cut -d/ -f4)`

let dataDir: string
let folder: string
let lab: RealLab
let engine: NodeEngine
let teacher: Person

beforeAll(async () => {
  folder = await mkdtemp('/var/tmp/sbx-disks-')
  const environment = { SANDLABX_IMPORT_FOLDERS: folder, SANDLABX_STOP_GRACE_SECONDS: '30' }
  lab = await startRealLab({ environment })
  const { layout } = lab
  dataDir = lab.dataDir
  engine = lab.engine
  await provideImage(layout, lab.backend.services.lab!.store, 'tiny')
  teacher = await lab.person('instructor')
}, 5 * MINUTES)

afterAll(async () => {
  for (const pid of qemusIn(dataDir)) process.kill(pid, 'SIGKILL')
  await lab?.close()
  await rm(folder, { recursive: true, force: true })
})

async function must(method: string, path: string, body?: object) {
  const answer = await teacher.send(method, path, body)
  if (answer.status >= 300) throw new Error(`${method} ${path}: ${JSON.stringify(answer.body)}`)
  return answer.body
}

async function newNode(name: string): Promise<string> {
  const made = { name, image: 'tiny', guestUser: 'ada', guestPassword: PASSWORD }
  return (await must('POST', '/api/nodes', made)).node.id
}

async function boot(id: string): Promise<GuestTerminal> {
  await must('POST', `/api/nodes/${id}/start`)
  const target = await engine.console(id as never, 'serial')
  if (target.via !== 'unix') throw new Error('the console of a process is a unix socket')
  const terminal = await openTerminal(target.path)
  await terminal.signIn('ada', PASSWORD)
  return terminal
}

/** The further disks that the guest sees, by their serial numbers. */
async function seen(terminal: GuestTerminal): Promise<string[]> {
  const lines = (await terminal.run(DISKS)).split('\n')
  return lines.filter((line) => !/^(root|seed) /.test(line)).toSorted()
}

async function stop(id: string, terminal: GuestTerminal): Promise<void> {
  terminal.close()
  await must('POST', `/api/nodes/${id}/stop`)
}

const fileOf = ({ path }: Pick<DriveView, 'path'>) => `${dataDir}${path}`
const add = async (id: string, body: object): Promise<DriveView> =>
  (await must('POST', `/api/nodes/${id}/drives`, body)).drive

describe('a real guest and its drives', () => {
  it(
    'has one that was added while it ran after the next start, keeps what it wrote, and gets a missing one again',
    async () => {
      const id = await newNode('one')
      const first = await boot(id)
      const drive = await add(id, { id: 'late', sizeBytes: 64 * MIB })
      expect(drive.appliesAtNextStart).toBe(true)
      expect(await seen(first)).toEqual([])
      await stop(id, first)
      expect((await stat(fileOf(drive))).isFile()).toBe(true)

      const second = await boot(id)
      expect(await seen(second)).toEqual(['late 131072 0'])
      await second.run(`echo kept on the drive | sudo dd of=${deviceOf('late')} bs=512 conv=sync,fsync`)
      await stop(id, second)
      await checkDisk(fileOf(drive))
      expect((await stat(fileOf(drive))).uid).toBe((await stat(`${dataDir}/overlays/node_${id}.qcow2`)).uid)

      await must('PATCH', `/api/nodes/${id}/drives/late`, { sizeBytes: 96 * MIB })
      const third = await boot(id)
      expect(await seen(third)).toEqual(['late 196608 0'])
      expect(await third.run(`sudo head -n 1 ${deviceOf('late')}`)).toBe('kept on the drive')
      await stop(id, third)

      await rm(fileOf(drive))
      const fourth = await boot(id)
      expect(await seen(fourth)).toEqual(['late 196608 0'])
      const { events } = await must('GET', `/api/nodes/${id}/events`)
      expect(events).toContainEqual(
        expect.objectContaining({ kind: 'warning', text: expect.stringMatching(/missing/) }),
      )
      await stop(id, fourth)

      await must('DELETE', `/api/nodes/${id}?deleteStorage=true`)
      await expect(stat(fileOf(drive))).rejects.toMatchObject({ code: 'ENOENT' })
      const [entry] = await listTrash(layoutOf(dataDir))
      expect(entry?.files.map(({ was }) => `/overlays/${was}`)).toContain(drive.path)
    },
    8 * MINUTES,
  )

  it(
    'has those that were added while it was stopped, each as it is recorded',
    async () => {
      const id = await newNode('two')
      const own = `${folder}/own.raw`
      await writeFile(own, 'from outside\n')
      await truncate(own, 8 * MIB)
      await Promise.all([chmod(folder, 0o755), chmod(own, 0o644)]) // QEMU's user is not ours
      await add(id, { id: 'own', path: own, readOnly: true })
      await add(id, { id: 'direct', sizeBytes: 32 * MIB, cache: 'none', io: 'native' })
      await add(id, { id: 'through', sizeBytes: 32 * MIB, cache: 'writethrough' })
      await add(id, { id: 'slow', sizeBytes: 32 * MIB, limits: { bytesPerSecond: MIB } })

      const terminal = await boot(id)
      expect(await seen(terminal)).toEqual(['direct 65536 0', 'own 16384 1', 'slow 65536 0', 'through 65536 0'])
      expect(await terminal.run(`sudo head -n 1 ${deviceOf('own')}`)).toBe('from outside')
      const write = (drive: string) =>
        terminal.run(`sudo dd if=/dev/zero of=${deviceOf(drive)} bs=1048576 count=4 conv=fsync 2>&1; true`)
      for (const drive of ['direct', 'through']) expect(await write(drive)).toMatch(/4\+0 records out/)
      expect(await write('own')).not.toMatch(/4\+0 records out/)
      const began = performance.now()
      expect(await write('slow')).toMatch(/4\+0 records out/)
      // Four MiB at one a second, of which the first is let through at once.
      expect(performance.now() - began).toBeGreaterThan(2000)
      await stop(id, terminal)
      expect((await readFile(own)).toString('utf8', 0, 12)).toBe('from outside')
      await must('DELETE', `/api/nodes/${id}`)
    },
    5 * MINUTES,
  )
})
