import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals'
import { execFileSync } from 'node:child_process'
import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import type { NodeId } from '../../src/domain/ids.js'
import { overlayFile } from '../../src/domain/layout.js'
import type { EngineNode, NodeEngine, NodeSpec } from '../../src/hosts/engine.js'
import { nodeUids } from '../../src/system/identity.js'
import { startFakeGuestAgent, type FakeGuestAgent } from '../support/fake-guest-agent.js'
import { createProcessBroker, type ProcessBroker } from '../support/process-broker.js'
import { POWER_OFF, READY } from '../support/tiny-guest.js'
import { nextEnd, stopNow, typeOnSerial } from './engine-actions.js'
import { describeEngine, eventually } from './engine-contract.js'
import { createProcessLab, statusField, type ProcessLab } from './process-lab.js'

jest.setTimeout(120_000)

// The container's own program and a real QEMU, without Docker: with it see test/compose/isolated.test.ts.
const isRoot = process.getuid?.() === 0
if (!isRoot) throw new Error('These tests need root: each node has a user of its own.')

describeEngine('QEMU in containers', async () => {
  const lab = await createProcessLab()
  const broker = createProcessBroker(lab.layout, lab.dataDir)
  const engine = await lab.open({ broker })
  const agents = new Map<NodeId, FakeGuestAgent>()
  return {
    engine,
    newSpec: async () => lab.newSpec(),
    greeting: READY,
    startsOf: (id) => broker.made.filter(({ node }) => node === id).length,
    powerOff: (id) => typeOnSerial(engine, id, POWER_OFF),
    ignorePowerButton: () => undefined, // it always does
    startAgent: async (id) => void agents.set(id, await startFakeGuestAgent(lab.paths(id).agent)),
    isGuestFrozen: (id) => agents.get(id)?.isFrozen() ?? false,
    kill: async (id) => void process.kill(broker.pidOf(id), 'SIGKILL'),
    silence: async (id) => void process.kill(broker.pidOf(id), 'SIGSTOP'),
    wake: async (id) => void process.kill(broker.pidOf(id), 'SIGCONT'),
    async close() {
      for (const agent of agents.values()) await agent.close()
      await lab.close()
    },
  }
})

describe('a QEMU in a container', () => {
  let lab: ProcessLab
  let broker: ProcessBroker
  let engine: NodeEngine
  beforeAll(async () => {
    lab = await createProcessLab()
    broker = createProcessBroker(lab.layout, lab.dataDir)
    engine = await lab.open({ broker })
  })
  afterEach(async () => {
    broker.comeBack()
    for (const { id, phase } of await engine.list()) if (phase !== 'stopped') await stopNow(engine, id)
  })
  afterAll(() => lab.close())

  async function startNew(changes: Partial<NodeSpec> = {}): Promise<EngineNode> {
    const spec = lab.newSpec(changes)
    await engine.ensureNode(spec, 'make').wait()
    return engine.start(spec, 'start').wait()
  }

  it('is made with its size and a user of its own, the owner of its disk, and has no number that we know', async () => {
    const node = await startNew({ memoryMib: 48, cpus: 2 })
    const uid = (await stat(overlayFile(lab.layout, node.id))).uid
    expect(uid).toBeGreaterThanOrEqual(nodeUids()?.first ?? Infinity)
    expect(broker.made.at(-1)).toEqual({ node: node.id, memoryMib: 48, cpus: 2, uid })
    expect(node).toMatchObject({ phase: 'running', pid: null })
    expect(engine.kind).toBe('container')
    expect((await statusField(broker.pidOf(node.id), 'Uid')).split('\t')).toContain(String(uid))
  })

  it("takes its arguments from the node's folder, in which it can change nothing", async () => {
    const node = await startNew()
    const paths = lab.paths(node.id)
    const uid = (await stat(overlayFile(lab.layout, node.id))).uid
    const asNode = ['--reuid', String(uid), '--regid', String(uid), '--clear-groups', '--']
    const inFolder = (...command: string[]) => execFileSync('setpriv', [...asNode, ...command], { stdio: 'pipe' })
    expect(() => inFolder('touch', `${paths.dir}/new`)).toThrow(/denied/)
    expect(() => inFolder('rm', '-f', paths.arguments)).toThrow(/denied/)
    expect(() => inFolder('cat', paths.launch)).toThrow(/denied/)
    const told = (await readFile(`/proc/${broker.pidOf(node.id)}/cmdline`, 'utf8')).split('\0').slice(1, -1)
    expect((await readFile(paths.arguments, 'utf8')).split('\0').slice(0, -1)).toEqual(told)
    await stopNow(engine, node.id)
    expect((await readdir(paths.dir)).toSorted()).toEqual(['io', 'launch.json', 'qemu.log'])
    expect(broker.running()).toEqual([])
  })

  it('goes on without us, and is found again by the next backend', async () => {
    const node = await startNew({ generation: 5 })
    const pid = broker.pidOf(node.id)
    const calls = broker.asked.length
    await engine.close()
    engine = await lab.open({ broker })
    expect(await engine.inspect(node.id)).toEqual(node)
    expect(broker.asked.slice(calls)).toEqual([]) // nobody had to be asked
    expect(broker.pidOf(node.id)).toBe(pid)
    const told = nextEnd(engine, node.id)
    await typeOnSerial(engine, node.id, POWER_OFF)
    expect(await told).toMatchObject({ phase: 'stopped', ended: { how: 'guest' } })
  })

  it('that ended while we were away is told as that', async () => {
    const [crashed, begun] = [await startNew(), await startNew()]
    await engine.close()
    for (const { id } of [crashed, begun]) process.kill(broker.pidOf(id), 'SIGKILL')
    await eventually(() => broker.running().length === 0, 'the end of both')
    const file = lab.paths(begun.id).launch
    await writeFile(file, (await readFile(file, 'utf8')).replace('"contained":true', '"contained":false'))
    engine = await lab.open({ broker })
    expect(await engine.inspect(crashed.id)).toMatchObject({ phase: 'failed', ended: { how: 'crashed' } })
    expect(await engine.inspect(begun.id)).toMatchObject({ phase: 'stopped', ended: null }) // nobody was told that it ran
  })

  it('is ended for good when a guest that has taken it over only plays dead', async () => {
    const node = await startNew()
    const pid = broker.pidOf(node.id)
    const told = nextEnd(engine, node.id)
    process.kill(pid, 'SIGSTOP')
    await rm(lab.paths(node.id).alive) // as if nothing held it any more
    expect(await told).toMatchObject({ phase: 'failed', ended: { how: 'crashed' } })
    expect(broker.running()).toEqual([])
  })

  it('is asked to end, then made to, when it does not answer', async () => {
    const node = await startNew()
    const job = engine.stop(node.id, { key: 'stop', graceMs: 0 })
    process.kill(broker.pidOf(node.id), 'SIGSTOP')
    expect(await job.wait()).toMatchObject({ how: 'sigkill', node: { phase: 'stopped' } })
    expect(broker.asked).toContain('stop')
    expect(broker.running()).toEqual([])
  })

  it('shows QEMU’s own words when it ends at once, and leaves nothing', async () => {
    const spec = lab.newSpec({ directBoot: { kernel: 'not-a-kernel', initrd: null, commandLine: 'quiet' } })
    await writeFile(`${lab.layout.images}/not-a-kernel`, 'x'.repeat(10_000), { mode: 0o444 })
    await engine.ensureNode(spec, 'make').wait()
    await expect(engine.start(spec, 'start').wait()).rejects.toMatchObject({
      code: 'engine',
      message: expect.stringMatching(/last lines:\n.*qemu/),
    })
    await expect(stat(lab.paths(spec.id).dir)).rejects.toMatchObject({ code: 'ENOENT' })
    expect(broker.running()).toEqual([])
  })

  it('is not started without the broker, which is said; what runs goes on', async () => {
    const running = await startNew()
    broker.goAway()
    expect((await engine.probe()).isolation).toMatchObject({ containers: { ok: false }, users: 'node', network: 'own' })
    await expect(startNew()).rejects.toMatchObject({ code: 'engine', message: expect.stringContaining('broker') })
    expect((await engine.inspect(running.id)).phase).toBe('running')
    const told = nextEnd(engine, running.id)
    await engine.stop(running.id, { key: 'without', graceMs: 0 }).wait() // QEMU is told by us
    expect((await told).phase).toBe('stopped')
  })

  it('has no way to the internet, and a node that needs one is refused with the reason', async () => {
    const spec = lab.newSpec()
    const withInternet = { ...spec, nics: [{ mac: '02:00:00:00:00:01', internet: true }] }
    await engine.ensureNode(withInternet, 'make').wait()
    await expect(engine.start(withInternet, 'start').wait()).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringContaining('without a network'),
    })
    expect(broker.made.some(({ node }) => node === spec.id)).toBe(false)
  })
})
