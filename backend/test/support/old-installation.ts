import { mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { runCommand } from '../../src/system/command.js'

/** A folder laid out as one of the older SandLabX. */
export interface OldInstallation {
  folder: string
  /** A base image of 16 MiB, with `byte` at its second MiB. */
  base(file: string, byte: number): Promise<string>
  /** A disk over it as the old ones are: 64 KiB clusters, an absolute path of a base that is not there. */
  disk(id: string, baseFile: string, byte: number, folder?: string): Promise<string>
  /** A state file, by default where seed 002's containers had it. */
  state(nodes: object[], file?: string): Promise<string>
  write(file: string, content: string): Promise<string>
  remove(): Promise<void>
}

const run = (tool: string, ...args: string[]) => runCommand(tool, args, { timeoutMs: 30_000 })

export async function oldInstallation(): Promise<OldInstallation> {
  const folder = await mkdtemp(join(tmpdir(), 'sandlabx-old-'))
  const write = async (file: string, content: string) => {
    const path = join(folder, file)
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, content)
    return path
  }
  return {
    folder,
    write,
    async base(file, byte) {
      const path = join(folder, 'images', file)
      await mkdir(dirname(path), { recursive: true })
      await run('qemu-img', 'create', '-q', '-f', 'qcow2', path, '16M')
      await run('qemu-io', '-f', 'qcow2', '-c', `write -q -P ${byte} 1M 64k`, path)
      return path
    },
    async disk(id, baseFile, byte, place = 'overlays') {
      const path = join(folder, place, `node_${id}.qcow2`)
      await mkdir(dirname(path), { recursive: true })
      const base = join(folder, 'images', baseFile)
      await run('qemu-img', 'create', '-q', '-f', 'qcow2', '-F', 'qcow2', '-b', base, path)
      await run('qemu-io', '-f', 'qcow2', '-c', `write -q -P ${byte} 2M 64k`, path)
      await run('qemu-img', 'rebase', '-u', '-f', 'qcow2', '-F', 'qcow2', '-b', `/images/${baseFile}`, path)
      return path
    },
    state: (nodes, file = 'state/nodes-state.json') =>
      write(file, JSON.stringify({ version: '1.0.0', lastUpdated: '2025-10-20T10:00:00.000Z', nodes })),
    remove: () => rm(folder, { recursive: true, force: true }),
  }
}

/** A record as seed 002's SandLabX wrote it. */
export function oldNode(id: string, name: string, changes: object = {}): object {
  return {
    id,
    name,
    osType: 'alpine',
    status: 'running',
    overlayPath: `/overlays/node_${id}.qcow2`,
    vncPort: 5900,
    guacConnectionId: 3,
    guacUrl: 'http://localhost:8081/guacamole/#/client/MwBjAHBvc3RncmVzcWw=',
    pid: 4711,
    createdAt: '2030-01-01T00:00:00.000Z',
    updatedAt: '2030-01-02T00:00:00.000Z',
    startedAt: '2030-01-02T00:00:00.000Z',
    stoppedAt: null,
    wipedAt: null,
    resources: { ram: 512, cpus: 2 },
    ...changes,
  }
}

/** What tells whether somebody has touched a file. */
export async function touchedAt(path: string): Promise<string> {
  const { ino, size, mtimeMs } = await stat(path)
  return `${ino} ${size} ${mtimeMs}`
}
