import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals'
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startBackend } from '../../src/backend.js'
import { readConfig } from '../../src/config.js'
import type { Image } from '../../src/domain/image.js'
import {
  auditSpoolFile,
  imageFile,
  imageStagingDir,
  journalDir,
  liveLayerFile,
  overlayFile,
  overlayStagingDir,
  postgresPasswordFile,
  quarantineDir,
  trashDir,
} from '../../src/domain/layout.js'
import type { EngineNode, NodeEngine } from '../../src/hosts/engine.js'
import { openStore } from '../../src/state/store.js'
import { hashGuestPassword } from '../../src/system/crypt-password.js'
import { NODE_UIDS } from '../../src/system/identity.js'
import { createLog } from '../../src/system/log.js'
import { provideImageFiles } from '../support/built-images.js'
import { specOver } from '../support/node-spec.js'
import { makeTinyImage, READY } from '../support/tiny-guest.js'
import { eventually } from './engine-contract.js'
import { openTerminal, type GuestTerminal } from './guest-terminal.js'
import { listenEverywhere, makeOutsideWorld, ownAddresses, type OutsideWorld } from './outside-world.js'
import { createProcessLab, pidOf, statusField, type ProcessLab } from './process-lab.js'

jest.setTimeout(400_000) // of a busy machine; it takes a minute
/** For a guest to get an address, on such a machine. */
const ADDRESS_MS = 200_000

let lab: ProcessLab
let engine: NodeEngine
beforeAll(async () => {
  lab = await createProcessLab()
  engine = await lab.open()
})
afterAll(() => lab.close())

describe("from the user of a node's QEMU", () => {
  let own: EngineNode
  let other: EngineNode
  let user: { uid: number; gid: number }
  beforeAll(async () => {
    await makeSecrets()
    ;[own, other] = [await startTiny(), await startTiny()]
    const { uid } = await stat(overlayFile(lab.layout, own.id))
    user = { uid, gid: uid }
    await engine.freezeDisk(other.id, { key: 'copy' }) // so that there is a live layer
  })

  /** What a program of that user says, started where QEMU is, with no other group. */
  function asUser(program: string, args: string[], cwd = lab.dataDir): string {
    const { stdout, stderr } = spawnSync(program, args, { ...user, cwd, encoding: 'utf8' })
    return stdout + stderr
  }
  const paths = (node: EngineNode) => lab.paths(node.id)

  it('its own disk can be read, and each node has another user', async () => {
    const relative = `overlays/node_${own.id}.qcow2`
    expect(asUser('head', ['-c', '3', relative])).toBe('QFI')
    const uids = await Promise.all([own, other].map((node) => statusField(pidOf(node), 'Uid')))
    expect(new Set(uids).size).toBe(2)
    for (const uid of uids) expect(Number(uid.split('\t')[0])).toBeGreaterThanOrEqual(NODE_UIDS.first)
  })

  it('no file of another node, no state, no secret and nothing unfinished can be read or listed', async () => {
    const { layout } = lab
    const closed = [
      overlayFile(layout, other.id),
      liveLayerFile(layout, other.id),
      paths(other).launch,
      paths(other).qemuLog,
      paths(other).serialLog,
      paths(own).launch,
      layout.stateFile,
      `${layout.state}/local-token`,
      postgresPasswordFile(layout),
      auditSpoolFile(layout),
      `${journalDir(layout)}/1.json`,
      `${trashDir(layout)}/old/node.qcow2`,
      `${overlayStagingDir(layout)}/half.qcow2`,
      `${imageStagingDir(layout)}/half.qcow2`,
      `${quarantineDir(layout)}/upload`,
      `/proc/${other.pid}/mem`,
      `/proc/${other.pid}/environ`,
      `/proc/${process.pid}/environ`,
    ]
    for (const path of closed) {
      await stat(path) // it is there
      expect({ path, said: asUser('head', ['-c', '1', path.replace(`${lab.dataDir}/`, '')]) }).toEqual({
        path,
        said: expect.stringMatching(/Permission denied|Operation not permitted/),
      })
    }
    for (const folder of ['.', 'overlays', 'images', 'run', 'state', `run/${paths(other).dir.split('/').at(-1)}/io`]) {
      expect({ folder, said: asUser('ls', [folder]) }).toEqual({
        folder,
        said: expect.stringMatching(/Permission denied/),
      })
    }
  })

  it('no socket of another node can be reached, and no other QEMU be signalled', async () => {
    const program = `require('net').connect(process.argv[1]).on('connect', () => console.log('open'))
      .on('error', (error) => console.log(error.code))`
    for (const socket of [paths(other).qmp, paths(other).vnc, paths(other).serial]) {
      expect((await stat(socket)).isSocket()).toBe(true)
      expect(asUser(process.execPath, ['-e', program, socket.replace(`${lab.dataDir}/`, '')]).trim()).toBe('EACCES')
    }
    expect(asUser('sh', ['-c', `kill -9 ${other.pid}`])).toMatch(/not permitted/)
    expect((await engine.inspect(other.id)).phase).toBe('running')
  })

  it('a base image can be read and not written, and nothing can be put beside it', async () => {
    const base = `images/${lab.image.file}`
    expect(asUser('head', ['-c', '3', base])).toBe('QFI')
    expect((await stat(imageFile(lab.layout, lab.image.file))).mode & 0o777).toBe(0o444)
    expect(asUser('sh', ['-c', `echo x > ${base}; echo x > overlays/new; echo x > run/new`])).toMatch(
      /(.*denied\n){3}/i,
    )
  })

  it('there are no rights, no new ones, filtered system calls, and a network in which nothing is', async () => {
    const pid = pidOf(own)
    for (const field of ['CapInh', 'CapPrm', 'CapEff', 'CapAmb']) {
      expect(await statusField(pid, field)).toMatch(/^0+$/)
    }
    expect(await statusField(pid, 'Groups')).toBe('')
    expect(await statusField(pid, 'NoNewPrivs')).toBe('1')
    expect(await statusField(pid, 'Seccomp')).toBe('2')
    const links = execFileSync('nsenter', ['--target', String(pid), '--net', '--', 'ip', '-brief', 'address'], {
      encoding: 'utf8',
    })
    expect(links.trim().split(/\s+/)).toEqual(['lo', 'DOWN'])
    const namespaces = [own, other].map((node) =>
      execFileSync('readlink', [`/proc/${node.pid}/ns/net`], { encoding: 'utf8' }),
    )
    expect(new Set(namespaces).size).toBe(2)
  })

  it('a disk that comes from somewhere else is given to the user of its node at the start', async () => {
    const spec = lab.newSpec()
    await engine.ensureNode(spec, 'make').wait()
    const file = overlayFile(lab.layout, spec.id)
    // As one that was restored and is still somebody else's.
    execFileSync('chown', [`${user.uid}:${user.gid}`, file])
    const node = await engine.start(spec, 'start').wait()
    const { uid, mode } = await stat(file)
    expect(uid).not.toBe(user.uid)
    expect(mode & 0o777).toBe(0o600)
    expect((await statusField(pidOf(node), 'Uid')).split('\t')[0]).toBe(String(uid))
    await engine.stop(spec.id, { key: 'stop', graceMs: 0 }).wait()
    expect((await engine.start(spec, 'again').wait()).phase).toBe('running')
    expect((await stat(file)).uid).toBe(uid)
  })

  async function startTiny(): Promise<EngineNode> {
    const spec = lab.newSpec()
    await engine.ensureNode(spec, 'make').wait()
    const node = await engine.start(spec, 'start').wait()
    await eventually(async () => (await engine.serialTail(spec.id, 1000)).includes(READY), 'the guest')
    return node
  }

  /** As the rooms that own them make them: the folders by the backend's umask and modes, the files 0600. */
  async function makeSecrets(): Promise<void> {
    const { layout } = lab
    const { store } = await openStore({ layout, log: createLog('silent') })
    await store.change(() => undefined)
    await store.close()
    for (const file of [`${layout.state}/local-token`, postgresPasswordFile(layout), auditSpoolFile(layout)]) {
      await writeFile(file, 'secret', { mode: 0o600 })
    }
    const folders = [journalDir(layout), `${trashDir(layout)}/old`, overlayStagingDir(layout)]
    for (const folder of [...folders, imageStagingDir(layout), quarantineDir(layout)]) {
      await mkdir(folder, { recursive: true, mode: 0o700 })
    }
    for (const file of [
      `${journalDir(layout)}/1.json`,
      `${trashDir(layout)}/old/node.qcow2`,
      `${overlayStagingDir(layout)}/half.qcow2`,
      `${imageStagingDir(layout)}/half.qcow2`,
      `${quarantineDir(layout)}/upload`,
    ]) {
      await writeFile(file, 'unfinished')
    }
  }
})

describe('of all that a whole backend keeps', () => {
  it("a node's user can open no file and no socket but base images, whatever name it knows", async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'sbx-whole-'))
    const config = readConfig({ SANDLABX_DATA: dataDir, SANDLABX_PORT: '0', SANDLABX_LOG_LEVEL: 'silent' })
    const whole = await startBackend({ config, version: '0.0.0-test', pageFolder: undefined })
    try {
      const image = await makeTinyImage(config.layout)
      await whole.services.lab?.engine.probe() // boots a sector of ours, which holds nothing
      const names = (await readdir(dataDir, { recursive: true, withFileTypes: true }))
        .filter((entry) => entry.isFile() || entry.isSocket())
        .map((entry) => join(entry.parentPath, entry.name).slice(dataDir.length + 1))
      expect(names).toEqual(
        expect.arrayContaining(['state/local-token', 'state/postgres-password', 'state/postgres/PG_VERSION']),
      )
      expect(names.some((name) => /^run\/pg\/\.s\.PGSQL\.\d+$/.test(name))).toBe(true)
      const program = `const { openSync } = require('fs'), { connect } = require('net')
        for (const name of JSON.parse(process.argv[1])) {
          if (name.includes('.s.PGSQL') && !name.endsWith('lock')) connect(name).on('connect', () => console.log(name)).on('error', () => {})
          else try { openSync(name); console.log(name) } catch {}
        }`
      const uid = NODE_UIDS.first + 7
      const opened = execFileSync(process.execPath, ['-e', program, JSON.stringify(names)], {
        cwd: dataDir,
        uid,
        gid: uid,
        encoding: 'utf8',
      })
      expect(opened.trim().split('\n')).toEqual([`images/${image.file}`])
    } finally {
      await whole.close()
      await rm(dataDir, { recursive: true, force: true })
    }
  })
})

describe('from inside a guest', () => {
  let image: Image
  let world: OutsideWorld
  let everywhere: Awaited<ReturnType<typeof listenEverywhere>>
  let loopback: Awaited<ReturnType<typeof listenEverywhere>>
  beforeAll(async () => {
    image = await provideImageFiles(lab.layout, 'tiny')
    world = await makeOutsideWorld()
    everywhere = await listenEverywhere()
    loopback = await listenEverywhere('127.0.0.1')
  })
  afterAll(async () => {
    everywhere.server.close()
    loopback.server.close()
    await world.close()
  })

  it('with internet it reaches the internet, and no port of this machine, its networks or another node', async () => {
    const [guest, other] = [await startLinux(true), await startLinux(true)]
    await guest.terminal.run('while ! ip route | grep -q default; do sleep 0.1; done', ADDRESS_MS)
    expect(await answers(guest.terminal, world.address, world.port)).toBe('outside')
    expect(await scan(guest.terminal)).toEqual([])
    expect(everywhere.visits() + loopback.visits()).toBe(0)
    expect(await guest.terminal.run('cat /etc/resolv.conf')).toMatch(/nameserver 10\.0\.2\.3/)
    const ways = () => waysOut(guest.node)
    expect(await ways()).toHaveLength(1)
    await engine.close() // as a backend that ends: the way out stays
    engine = await lab.open()
    expect(await answers(guest.terminal, world.address, world.port)).toBe('outside')
    await engine.stop(guest.node.id, { key: 'stop', graceMs: 0 }).wait()
    await eventually(async () => (await ways()).length === 0, 'the end of its way out')
    expect(await answers(other.terminal, world.address, world.port)).toBe('outside') // each has its own
    await engine.stop(other.node.id, { key: 'stop', graceMs: 0 }).wait()
  })

  it('without internet it reaches nothing at all', async () => {
    const { terminal, node } = await startLinux(false)
    await terminal.run('while ! ip route | grep -q 10.0.2; do sleep 0.1; done', ADDRESS_MS)
    await terminal.run('ip route | grep default || sudo ip route add default via 10.0.2.2')
    expect(await answers(terminal, world.address, world.port)).toBe('')
    expect(await scan(terminal)).toEqual([])
    expect(everywhere.visits() + loopback.visits()).toBe(0)
    await engine.stop(node.id, { key: 'stop', graceMs: 0 }).wait()
  })

  it('internet is refused with the reason where it could not be made safe; the node is not started', async () => {
    await engine.close()
    engine = await lab.open({ separation: 'none' })
    const spec = lab.newSpec()
    const withInternet = { ...spec, nics: [{ ...spec.nics[0]!, internet: true }] }
    await engine.ensureNode(withInternet, 'make').wait()
    await expect(engine.start(withInternet, 'start').wait()).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringMatching(/would reach this machine/),
    })
    expect((await engine.probe()).isolation).toMatchObject({ network: 'host', internet: { ok: false } })
    expect((await engine.start(spec, 'without').wait()).phase).toBe('running')
  })

  /** Addresses of this machine, its loopback as QEMU shows it, and its neighbours, each on ports where somebody listens. */
  async function scan(terminal: GuestTerminal): Promise<string[]> {
    const addresses = [...ownAddresses(), '10.0.2.2', '10.0.2.3', '198.18.0.2', '198.18.0.100', world.neighbour]
    const ports = [everywhere.port, loopback.port, world.port]
    const targets = addresses.flatMap((address) => ports.map((port) => `${address}:${port}`))
    // Its own loopback is the guest's, not ours.
    const list = targets.filter((target) => !target.startsWith('127.')).join(' ')
    const found = await terminal.run(
      `for t in ${list}; do (echo | timeout 3 nc -w 2 \${t%:*} \${t#*:} 2>/dev/null | grep -q side && echo open $t) & done; wait`,
      60_000,
    )
    return found.split('\n').filter((line) => line.startsWith('open'))
  }
  async function answers(terminal: GuestTerminal, address: string, port: number): Promise<string> {
    return terminal.run(`echo | timeout 5 nc -w 3 ${address} ${port} 2>/dev/null`, 30_000)
  }

  async function startLinux(internet: boolean): Promise<{ node: EngineNode; terminal: GuestTerminal }> {
    const plain = lab.newSpec()
    const base = { file: image.file, virtualSizeBytes: image.virtualSizeBytes, fingerprint: image.fingerprint }
    const spec = specOver(base, plain.id, {
      memoryMib: image.minimumMemoryMib,
      directBoot: image.directBoot,
      firmware: image.firmware,
      nics: plain.nics.map((nic) => ({ ...nic, internet })),
      seed: {
        instanceId: plain.id,
        hostName: 'isolated',
        user: 'student',
        passwordHash: await hashGuestPassword('student'),
        sshKeys: [],
      },
    })
    await engine.ensureNode(spec, 'make').wait()
    const node = await engine.start(spec, 'start').wait()
    const terminal = await openTerminal(lab.paths(spec.id).serial)
    await terminal.signIn('student', 'student')
    return { node, terminal }
  }

  /** The processes that lead a node out, by the pid that they serve. */
  async function waysOut(node: EngineNode): Promise<string[]> {
    const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
    const lines = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')))
    return lines.filter((line) => line.startsWith('slirp4netns\0') && line.split('\0').includes(String(node.pid)))
  }
})
