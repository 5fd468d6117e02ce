import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals'
import { chmod, mkdir, readFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { layoutOf, overlayFile } from '../../src/domain/layout.js'
import { planOnly, runMigration, type Migration } from '../../src/migration/run.js'
import { specOf } from '../../src/nodes/spec.js'
import { openStore } from '../../src/state/store.js'
import { runCommand } from '../../src/system/command.js'
import { createLog } from '../../src/system/log.js'
import { fakeAccounts } from '../support/migration-accounts.js'
import { oldInstallation, oldNode, type OldInstallation } from '../support/old-installation.js'
import { COUNT_ON_DISK, FIRST_COUNTED, makeTinyImage } from '../support/tiny-guest.js'
import { eventually } from './engine-contract.js'
import { createProcessLab, pidOf, type ProcessLab } from './process-lab.js'

jest.setTimeout(120_000)

const WEB = '0b2f7a36-31f4-4a3e-9c53-1d5f2b1f7a01'

describe('a node of an older SandLabX', () => {
  let lab: ProcessLab
  let old: OldInstallation
  beforeAll(async () => {
    lab = await createProcessLab()
    old = await oldInstallation()
  })
  afterAll(async () => {
    await lab.close()
    await old.remove()
  })

  it('boots from its disk on the machine that it knows, reads what it had written, and writes on', async () => {
    // What its guest was installed from: a boot sector that BIOS loads, and no virtio driver anywhere.
    const made = await makeTinyImage(layoutOf(old.folder), { id: 'alpine-3' })
    await mkdir(join(old.folder, 'images'), { recursive: true })
    await chmod(join(old.folder, 'images', made.file), 0o644)
    await old.disk(WEB, 'alpine-3.qcow2', 9)
    await old.state([oldNode(WEB, 'web')])
    const migration: Migration = {
      layout: lab.layout,
      log: createLog('silent'),
      openAccounts: async () => ({ accounts: fakeAccounts(), close: async () => undefined }),
    }
    const wish = { from: [old.folder], without: [] }
    const { token } = await planOnly(migration, wish)
    await runMigration(migration, { ...wish, token })

    const { store } = await openStore({ layout: lab.layout, log: createLog('silent') })
    const [record] = store.data.nodes
    const image = store.data.images.find(({ id }) => id === record?.imageId)
    await store.close()
    if (!record || !image) throw new Error('nothing came over')
    const engine = await lab.open()
    const node = await engine.start(specOf(record, image, []), 'start').wait()
    const said = async () => readFile(lab.paths(record.id).serialLog, 'latin1').catch(() => '')
    await eventually(async () => (await said()).includes('READY'), 'the guest')
    const args = (await readFile(`/proc/${pidOf(node)}/cmdline`, 'utf8')).split('\0').join(' ')
    expect(args).toContain('"driver":"ide-hd"')
    expect(args).toContain('"driver":"e1000"')
    expect(args).not.toContain('virtio-blk-pci')

    const target = await engine.console(record.id, 'serial')
    if (target.via !== 'unix') throw new Error('a process has unix sockets')
    const line = connect(target.path)
    line.write(COUNT_ON_DISK)
    await eventually(async () => (await said()).includes('...'), 'three writes')
    line.destroy()
    await engine.stop(record.id, { key: 'stop', graceMs: 0 }).wait()
    const read = ['-r', '-f', 'qcow2', '-c', `read -v ${FIRST_COUNTED * 512} 16`, '-c', 'read -P 9 2M 64k']
    const { stdout } = await runCommand('qemu-io', [...read, overlayFile(lab.layout, WEB)], { timeoutMs: 30_000 })
    expect(stdout).toContain(`${FIRST_COUNTED.toString(16)} 00 00 00`)
    expect(stdout).not.toContain('Pattern verification failed')
  })
})
