import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { layoutOf, overlayFile } from '../../src/domain/layout.js'
import type { NodeEngine } from '../../src/hosts/engine.js'
import { provideImage } from '../support/built-images.js'
import { checkDisk } from '../support/disks.js'
import { type Person } from '../support/lab.js'
import { openTerminal, type GuestTerminal } from './guest-terminal.js'
import { qemusIn } from './process-lab.js'
import { startRealLab, type RealLab } from '../support/real-lab.js'

const MINUTES = 60_000
const PASSWORD = 'correct horse'

interface Side {
  dataDir: string
  engine: NodeEngine
  lab: RealLab
  teacher: Person
}
let near: Side
let far: Side

beforeAll(async () => {
  near = await openSide()
  far = await openSide()
  await provideImage(layoutOf(near.dataDir), near.lab.backend.services.lab!.store, 'tiny')
}, 12 * MINUTES)

afterAll(async () => {
  for (const side of [near, far]) {
    if (!side) continue
    for (const pid of qemusIn(side.dataDir)) process.kill(pid, 'SIGKILL')
    await side.lab.close()
  }
})

async function openSide(): Promise<Side> {
  const lab = await startRealLab()
  const { dataDir, engine } = lab
  return { dataDir, engine, lab, teacher: await lab.person('instructor') }
}

async function must({ teacher }: Side, method: string, path: string, body?: object) {
  const answer = await teacher.send(method, path, body)
  if (answer.status >= 300) throw new Error(`${method} ${path}: ${JSON.stringify(answer.body)}`)
  return answer.body
}

async function signIn({ engine }: Side, id: string): Promise<GuestTerminal> {
  const target = await engine.console(id as never, 'serial')
  if (target.via !== 'unix') throw new Error('the console of a process is a unix socket')
  const terminal = await openTerminal(target.path)
  await terminal.signIn('ada', PASSWORD)
  return terminal
}

describe('a real guest that is cloned to another SandLabX', () => {
  it(
    'boots over there with its file, while the one here runs on; the image it needs goes with it',
    async () => {
      const guest = { guestUser: 'ada', guestPassword: PASSWORD }
      const asked = { name: 'here', image: 'tiny', memoryMib: 128, ...guest, start: true }
      const { node } = await must(near, 'POST', '/api/nodes', asked)
      const terminal = await signIn(near, node.id)
      await terminal.run('echo a file of mine > ~/kept; sync')

      const to = { url: far.lab.url, token: far.teacher.token }
      const { operation } = await must(near, 'POST', `/api/nodes/${node.id}/clone`, { name: 'there', to, start: true })
      await near.lab.backend.services.lab!.operations.ended(operation.id)
      expect(await terminal.run('cat ~/kept')).toBe('a file of mine')
      terminal.close()

      const { nodes } = await must(far, 'GET', '/api/nodes')
      expect(nodes).toMatchObject([{ name: 'there', image: 'tiny', status: 'running' }])
      const copy = await signIn(far, nodes[0].id)
      expect(await copy.run('hostname; cat ~/kept')).toBe('there\na file of mine')
      copy.close()
      await must(far, 'POST', `/api/nodes/${nodes[0].id}/stop`, { now: true })
      await checkDisk(overlayFile(layoutOf(far.dataDir), nodes[0].id))
    },
    3 * MINUTES,
  )
})
