import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it, jest } from '@jest/globals'
import { layoutOf } from '../../src/domain/layout.js'
import type { NodeEngine } from '../../src/hosts/engine.js'
import { createProcessEngine } from '../../src/hosts/process-engine.js'
import { createLog } from '../../src/system/log.js'
import { provideImage } from '../support/built-images.js'
import { startTestLab, type Person, type TestLab } from '../support/lab.js'
import { untilSeen } from '../support/until.js'
import { openTerminal, type GuestTerminal } from './guest-terminal.js'
import { qemusIn } from './process-lab.js'

jest.setTimeout(300_000)

const PATIENCE_MS = 120_000

let dataDir: string
let lab: TestLab
let engine: NodeEngine
let teacher: Person

/** A backend that saves what runs when it is told to end, as Compose sets it. */
async function open(): Promise<void> {
  engine = await createProcessEngine({
    layout: layoutOf(dataDir),
    dataDir,
    log: createLog('silent'),
    accelerator: 'tcg',
  })
  // The contract is the same; only the type of the test's own engine is narrower.
  lab = await startTestLab({
    dataDir,
    keep: true,
    engine: engine as never,
    environment: { SANDLABX_ON_STOP: 'suspend' },
  })
  teacher = await lab.person('instructor')
}

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'sbx-')) // short: paths of sockets are
  await open()
  await provideImage(layoutOf(dataDir), lab.backend.services.lab!.store, 'tiny')
}, PATIENCE_MS)
afterAll(async () => {
  for (const pid of qemusIn(dataDir)) process.kill(pid, 'SIGKILL')
  await lab?.close()
  await rm(dataDir, { recursive: true, force: true })
})

async function terminalOf(id: string): Promise<GuestTerminal> {
  const target = await engine.console(id as never, 'serial')
  if (target.via !== 'unix') throw new Error('the console of a process is a unix socket')
  return openTerminal(target.path)
}
const nodeOf = async (id: string) => (await teacher.send('GET', `/api/nodes/${id}`)).body.node
const numberIn = (text: string) => Number(/(\d+)\s*$/.exec(text)?.[1])

it('a counter in a shell goes on counting after SandLabX has ended and started, at the same screen', async () => {
  const made = await teacher.send('POST', '/api/nodes', {
    name: 'counting',
    image: 'tiny',
    memoryMib: 256,
    guestUser: 'ada',
    guestPassword: 'counts up',
    start: true,
  })
  const id: string = made.body.node.id
  let shell = await terminalOf(id)
  await shell.signIn('ada', 'counts up')
  await shell.run('mark=only-in-this-shell')
  shell.type('n=0; while n=$((n+1)); do echo "count $n"; sleep 1; done\r')
  const counted = numberIn(await shell.waitFor(/count 3(?=\n)/))
  shell.close()

  await lab.close()
  expect(qemusIn(dataDir)).toEqual([])
  expect((await readdir(`${dataDir}/overlays`)).filter((name) => name.startsWith('suspended_'))).toHaveLength(1)
  const away = Date.now()
  await untilSeen('some time without SandLabX', async () => Date.now() - away > 4000)

  await open()
  await untilSeen('the node', async () => (await nodeOf(id)).status === 'running', PATIENCE_MS)
  expect(await nodeOf(id)).toMatchObject({ suspended: null, desired: 'running' })
  shell = await terminalOf(id)
  const next = numberIn(await shell.waitFor(/count \d+(?=\n)/))
  expect(next).toBeGreaterThan(counted)
  expect(next).toBeLessThan(counted + 30) // not from the beginning, and nothing was left out
  shell.type('\u0003')
  await shell.waitFor(/[$#] $/)
  expect(await shell.run('echo $mark')).toBe('only-in-this-shell')
  expect((await readdir(`${dataDir}/overlays`)).filter((name) => name.startsWith('suspended_'))).toEqual([])

  // The hardware clock is right; the guest's own is behind for as long as nobody tells it.
  const clock = async (command: string) => Number(await shell.run(command))
  const [hardware, own] = [await clock('cat /sys/class/rtc/rtc0/since_epoch'), await clock('date +%s')]
  expect(Math.abs(hardware - Date.now() / 1000)).toBeLessThan(5)
  expect(hardware - own).toBeGreaterThan(2)
  shell.close()

  // A person does the same by hand, and the guest is still the one that it was.
  const suspended = await teacher.send('POST', `/api/nodes/${id}/suspend`)
  expect(suspended.body.node).toMatchObject({ status: 'suspended' })
  expect((await teacher.send('POST', `/api/nodes/${id}/consoles`, { kind: 'serial' })).body.error.message).toMatch(
    /suspended/,
  )
  expect((await teacher.send('POST', `/api/nodes/${id}/resume`)).body.node).toMatchObject({ status: 'running' })
  shell = await terminalOf(id)
  shell.type('\r')
  await shell.waitFor(/[$#] $/)
  expect(await shell.run('echo $mark')).toBe('only-in-this-shell')
  shell.close()
})
