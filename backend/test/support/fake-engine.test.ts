import { afterEach, describe, expect, it } from '@jest/globals'
import { randomUUID } from 'node:crypto'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { nodeIdSchema } from '../../src/domain/ids.js'
import { layoutOf } from '../../src/domain/layout.js'
import { EngineError, type NodeSpec } from '../../src/hosts/engine.js'
import { createFakeEngine } from '../../src/hosts/fake-engine.js'
import { describeEngine } from '../qemu/engine-contract.js'
import { specOver } from './node-spec.js'
import { makeTinyImage } from './tiny-guest.js'

const NO_IMAGE = {
  file: 'none.qcow2',
  virtualSizeBytes: 1024 ** 2,
  fingerprint: { sha256: '0'.repeat(64), sizeBytes: 1, mtimeMs: 1 },
}

function newSpec(): NodeSpec {
  return specOver(NO_IMAGE, nodeIdSchema.parse(randomUUID()))
}

describeEngine('fake', async () => {
  const engine = createFakeEngine()
  return {
    engine,
    newSpec: async () => newSpec(),
    greeting: 'login: ',
    startsOf: (id) => engine.startsOf(id),
    powerOff: async (id) => engine.powerOff(id),
    ignorePowerButton: (id) => engine.ignorePowerButton(id),
    startAgent: async (id) => engine.setAgent(id, true),
    isGuestFrozen: (id) => engine.isGuestFrozen(id),
    kill: async (id) => engine.crash(id),
    silence: async (id) => engine.silence(id),
    wake: async (id) => engine.wake(id),
    close: () => engine.close(),
  }
})

describeEngine('fake, with files', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'sbx-fake-'))
  const layout = layoutOf(dataDir)
  await mkdir(layout.overlays, { recursive: true })
  const image = await makeTinyImage(layout)
  const engine = createFakeEngine({ layout })
  return {
    engine,
    newSpec: async () => specOver(image, nodeIdSchema.parse(randomUUID())),
    greeting: 'login: ',
    startsOf: (id) => engine.startsOf(id),
    powerOff: async (id) => engine.powerOff(id),
    ignorePowerButton: (id) => engine.ignorePowerButton(id),
    startAgent: async (id) => engine.setAgent(id, true),
    isGuestFrozen: (id) => engine.isGuestFrozen(id),
    kill: async (id) => engine.crash(id),
    silence: async (id) => engine.silence(id),
    wake: async (id) => engine.wake(id),
    async close() {
      await engine.close()
      await rm(dataDir, { recursive: true })
    },
  }
})

describe('the fake engine', () => {
  const engine = createFakeEngine()
  afterEach(() => engine.setReport({ ok: true }))

  async function running(): Promise<NodeSpec> {
    const spec = newSpec()
    await engine.ensureNode(spec, 'make').wait()
    await engine.start(spec, 'start').wait()
    return spec
  }

  it('lets a guest that listens shut down by itself', async () => {
    const spec = await running()
    const result = await engine.stop(spec.id, { key: 'stop', graceMs: 100 }).wait()
    expect(result).toMatchObject({ how: 'guest-shutdown', node: { ended: { how: 'asked' } } })
  })

  it('fails as it is told, once', async () => {
    const spec = newSpec()
    await engine.ensureNode(spec, 'make').wait()
    engine.failNext('start', new EngineError('no-capacity', 'no memory'))
    const job = engine.start(spec, 'start')
    await expect(job.wait()).rejects.toMatchObject({ code: 'no-capacity', message: 'no memory' })
    expect(job.state).toBe('failed')
    expect(await engine.inspect(spec.id)).toMatchObject({ phase: 'failed', reason: 'no memory' })
    expect((await engine.start(spec, 'start').wait()).phase).toBe('running')
  })

  it('holds an operation until it is let go', async () => {
    const spec = newSpec()
    await engine.ensureNode(spec, 'make').wait()
    const release = engine.hold('start')
    const job = engine.start(spec, 'start')
    await expect(job.wait({ timeoutMs: 20 })).rejects.toMatchObject({ code: 'timeout' })
    expect(await engine.inspect(spec.id)).toMatchObject({ phase: 'starting' })
    release()
    expect((await job.wait()).phase).toBe('running')
  })

  it('pauses by itself, which is told, and resumes when asked', async () => {
    const spec = await running()
    const phases: string[] = []
    const unsubscribe = engine.onChange((node) => phases.push(`${node.phase}: ${node.reason}`))
    engine.pause(spec.id, 'disk full')
    expect((await engine.resume(spec.id, { key: 'go' }).wait()).phase).toBe('running')
    unsubscribe()
    expect(phases).toEqual(['paused: disk full'])
  })

  it('remembers the keys that were pressed', async () => {
    const spec = await running()
    await engine.sendKeys(spec.id, ['ctrl', 'c'])
    expect(engine.keysOf(spec.id)).toEqual([['ctrl', 'c']])
  })

  it('loses the jobs that are under way when it is closed', async () => {
    const closing = createFakeEngine()
    const spec = newSpec()
    await closing.ensureNode(spec, 'make').wait()
    closing.hold('start')
    const job = closing.start(spec, 'start')
    await closing.close()
    await expect(job.wait()).rejects.toMatchObject({ code: 'lost', retry: true })
    expect(job.state).toBe('lost')
  })
})
