import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals'
import { execFileSync } from 'node:child_process'
import { mkdtemp, readFile, readlink, rm, stat, writeFile } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { NodeId } from '../../src/domain/ids.js'
import type { EngineNode, NodeEngine } from '../../src/hosts/engine.js'
import { FILL_DISK, READY } from '../support/tiny-guest.js'
import { eventually } from './engine-contract.js'
import { createProcessLab, pidOf, type ProcessLab } from './process-lab.js'

jest.setTimeout(120_000)

const MIB = 1024 * 1024

describe('a QEMU process in trouble', () => {
  let lab: ProcessLab
  let engine: NodeEngine
  beforeAll(async () => {
    lab = await createProcessLab()
    engine = await lab.open()
  })
  afterAll(() => lab.close())

  it('is ended by SIGKILL when it hears nothing else, and that is said', async () => {
    const node = await started(engine, lab)
    const patient = engine.stop(node.id, { key: 'patient', graceMs: 60_000 }).wait()
    await eventually(async () => (await engine.inspect(node.id)).phase === 'stopping', 'the stop')
    process.kill(pidOf(node), 'SIGSTOP')
    const result = await engine.stop(node.id, { key: 'now', graceMs: 0 }).wait()
    expect(result).toMatchObject({ how: 'sigkill', node: { phase: 'stopped', ended: { how: 'forced' } } })
    expect(await patient).toEqual(result)
  })

  it('is in a session of its own and holds nothing of ours, so that our end is not its end', async () => {
    const node = await started(engine, lab)
    const pid = pidOf(node)
    const session = execFileSync('ps', ['-o', 'sid=', '-p', String(pid)], { encoding: 'utf8' })
    expect(Number(session)).toBe(pid)
    const streams = await Promise.all([0, 1, 2].map((fd) => readlink(`/proc/${pid}/fd/${fd}`)))
    expect(streams).toEqual(['/dev/null', lab.paths(node.id).qemuLog, lab.paths(node.id).qemuLog])
    await engine.stop(node.id, { key: 'now', graceMs: 0 }).wait()
  })

  it('may print for ever: its log is put aside at 4 MiB, and the newest output stays readable', async () => {
    const node = await started(engine, lab)
    const log = lab.paths(node.id).serialLog
    await writeFile(log, `${'old line\n'.repeat(500_000)}the end of the old\n`, { flag: 'a' })
    await eventually(async () => (await stat(log)).size < MIB, 'the rotation')
    const line = await serialOf(engine, node.id)
    line.write('newest')
    const both = async () => (await engine.serialTail(node.id, 200)).toString()
    await eventually(async () => (await both()).endsWith('newest'), 'new output after the rotation')
    expect(await both()).toContain('the end of the old\n')
    expect((await engine.serialTail(node.id, 3)).toString()).toBe('est')
    expect((await readFile(log, 'latin1')).includes('\0')).toBe(false)
    line.destroy()
    await engine.stop(node.id, { key: 'now', graceMs: 0 }).wait()
  })
})

describe('when the disk of the host is full', () => {
  let dataDir: string
  let lab: ProcessLab
  beforeAll(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'sbx-full-'))
    // A small file system of its own; mounting needs root, which CI is.
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=24m,mode=0711', 'sandlabx-test', dataDir])
    lab = await createProcessLab({ dataDir, sizeMib: 64 })
  })
  afterAll(async () => {
    await lab.close().catch(() => undefined) // the folder itself is a mount point and can't be removed
    execFileSync('umount', [dataDir])
    await rm(dataDir, { recursive: true })
  })

  it('the guest is paused with the reason, found so again, and goes on when there is room', async () => {
    await writeFile(join(dataDir, 'ballast'), Buffer.alloc(12 * MIB, 1))
    let engine = await lab.open()
    const node = await started(engine, lab)
    const paused = nextPhase(engine, node.id, 'paused')
    const line = await serialOf(engine, node.id)
    line.write(FILL_DISK)
    expect((await paused).reason).toMatch(/disk is full/)
    line.destroy()

    await expect(engine.resume(node.id, { key: 'too early' }).wait()).rejects.toMatchObject({ code: 'no-space' })
    await engine.close()
    engine = await lab.open()
    expect(await engine.inspect(node.id)).toMatchObject({ phase: 'paused', pid: node.pid })
    expect((await engine.inspect(node.id)).reason).toMatch(/disk is full/)

    const goesOn = nextPhase(engine, node.id, 'running')
    await rm(join(dataDir, 'ballast'))
    expect((await goesOn).pid).toBe(node.pid)
    await engine.stop(node.id, { key: 'now', graceMs: 0 }).wait()
    await engine.close()
  })

  it('a start is refused with the reason and leaves nothing behind', async () => {
    const engine = await lab.open()
    const spec = lab.newSpec()
    await engine.ensureNode(spec, 'make').wait()
    const fill = join(dataDir, 'fill')
    execFileSync('sh', ['-c', `head -c 100M /dev/zero > ${fill} 2>/dev/null || true`])
    await expect(engine.start(spec, 'start').wait()).rejects.toMatchObject({ code: 'no-space' })
    await rm(fill)
    expect((await engine.start(spec, 'start').wait()).phase).toBe('running')
    await engine.stop(spec.id, { key: 'now', graceMs: 0 }).wait()
    await engine.close()
  })
})

async function started(engine: NodeEngine, lab: ProcessLab): Promise<EngineNode> {
  const spec = lab.newSpec()
  await engine.ensureNode(spec, 'make').wait()
  const node = await engine.start(spec, 'start').wait()
  await eventually(async () => (await engine.serialTail(spec.id, 1000)).includes(READY), 'the guest')
  return node
}

function nextPhase(engine: NodeEngine, id: NodeId, phase: EngineNode['phase']): Promise<EngineNode> {
  return new Promise((resolve) => {
    const unsubscribe = engine.onChange((node) => {
      if (node.id !== id || node.phase !== phase) return
      unsubscribe()
      resolve(node)
    })
  })
}

async function serialOf(engine: NodeEngine, id: NodeId): Promise<Socket> {
  const target = await engine.console(id, 'serial')
  if (target.via !== 'unix') throw new Error('a process has unix sockets')
  const line = connect(target.path)
  await new Promise((resolve) => line.once('connect', resolve))
  return line
}
