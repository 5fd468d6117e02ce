import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { layerFile, layoutOf, overlayFile } from '../../src/domain/layout.js'
import type { NodeEngine } from '../../src/hosts/engine.js'
import { provideImage } from '../support/built-images.js'
import { checkDisk } from '../support/disks.js'
import { type Person } from '../support/lab.js'
import { openTerminal, type GuestTerminal } from './guest-terminal.js'
import { qemusIn } from './process-lab.js'
import { startRealLab, type RealLab } from '../support/real-lab.js'

const MINUTES = 60_000
const PASSWORD = 'correct horse'
const HOST_KEY = 'until [ -s /etc/ssh/ssh_host_ecdsa_key.pub ]; do sleep 1; done; cat /etc/ssh/ssh_host_ed25519_key.pub'
/** What no two guests may share; an image without systemd has no machine id (images.test.ts looks at the one that has). */
const IDENTITY = `hostname; ${HOST_KEY}; cat /etc/machine-id 2>/dev/null`

let dataDir: string
let lab: RealLab
let engine: NodeEngine
let teacher: Person

beforeAll(async () => {
  lab = await startRealLab()
  const { layout } = lab
  dataDir = lab.dataDir
  engine = lab.engine
  await provideImage(layout, lab.backend.services.lab!.store, 'debian-12')
  teacher = await lab.person('instructor')
}, 12 * MINUTES)

afterAll(async () => {
  for (const pid of qemusIn(dataDir)) process.kill(pid, 'SIGKILL')
  await lab?.close()
})

async function must(method: string, path: string, body?: object) {
  const answer = await teacher.send(method, path, body)
  if (answer.status >= 300) throw new Error(`${method} ${path}: ${JSON.stringify(answer.body)}`)
  return answer.body
}

async function boot(id: string): Promise<GuestTerminal> {
  await must('POST', `/api/nodes/${id}/start`)
  const target = await engine.console(id as never, 'serial')
  if (target.via !== 'unix') throw new Error('the console of a process is a unix socket')
  const terminal = await openTerminal(target.path)
  await terminal.signIn('ada', PASSWORD)
  return terminal
}

async function clone(id: string, body: object): Promise<string> {
  const { operation } = await must('POST', `/api/nodes/${id}/clone`, body)
  await lab.backend.services.lab!.operations.ended(operation.id)
  return operation.items[0].id
}

/** What the guest wrote is on it, and it is another guest than its source. */
async function expectOwnGuest(id: string, name: string, file: string, source: string[]): Promise<void> {
  const terminal = await boot(id)
  const [hostName, key, machineId] = (await terminal.run(IDENTITY)).split('\n')
  expect(await terminal.run('cat ~/kept')).toBe(file)
  expect(hostName).toBe(name)
  expect(key).toMatch(/^ssh-ed25519 /)
  if (machineId !== undefined) expect(source).not.toContain(machineId)
  expect(source).not.toContain(key)
  terminal.close()
  await must('POST', `/api/nodes/${id}/stop`)
  await checkDisk(overlayFile(layoutOf(dataDir), id))
}

describe('clones of a real guest', () => {
  it(
    'linked and full, of the running and of the stopped node, boot as guests of their own with all that was written',
    async () => {
      const made = await must('POST', '/api/nodes', {
        name: 'source',
        image: 'debian-12',
        memoryMib: 256,
        guestUser: 'ada',
        guestPassword: PASSWORD,
      })
      const { id } = made.node
      const terminal = await boot(id)
      const identity = (await terminal.run(IDENTITY)).split('\n')
      expect(identity[0]).toBe('source')
      await terminal.run('echo written while it ran > ~/kept; sync')

      const linked = await clone(id, { name: 'linked' })
      const full = await clone(id, { name: 'full', full: true })
      // The guest noticed nothing, and what it writes goes on to its own disk.
      expect(await terminal.run('echo written later > ~/kept; sync; cat ~/kept')).toBe('written later')
      terminal.close()
      await must('POST', `/api/nodes/${id}/stop`)
      const stopped = await clone(id, { name: 'stopped' })

      await expectOwnGuest(linked, 'linked', 'written while it ran', identity)
      await expectOwnGuest(full, 'full', 'written while it ran', identity)
      await expectOwnGuest(stopped, 'stopped', 'written later', identity)
      const again = await boot(id)
      expect((await again.run(IDENTITY)).split('\n')).toEqual(identity)
      expect(await again.run('cat ~/kept')).toBe('written later')
      again.close()
      await must('POST', `/api/nodes/${id}/stop`, { now: true })
      const { layers } = lab.backend.services.lab!.store.data
      expect(layers).toHaveLength(2)
      for (const layer of layers) await checkDisk(layerFile(layoutOf(dataDir), layer.id))
    },
    15 * MINUTES,
  )
})
