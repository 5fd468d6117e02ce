import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { runCommand } from '../../src/system/command.js'

/** A sound image as QEMU itself writes it, with one feature; the mutants are made from these. */
export interface BaseImage {
  name: string
  bytes: Buffer
}

const SIZE = '8M'
const TIMEOUT = { timeoutMs: 60_000 }

/** What each is made with. The first group is accepted as it is, the rest is refused for what it has. */
const CREATED: Record<string, string[]> = {
  'version 3': ['-o', 'compat=1.1'],
  'version 2': ['-o', 'compat=0.10'],
  'clusters of 512 bytes': ['-o', 'cluster_size=512'],
  'clusters of 256 KiB': ['-o', 'cluster_size=262144'],
  'extended L2': ['-o', 'extended_l2=on,cluster_size=16384'],
  'lazy refcounts': ['-o', 'lazy_refcounts=on'],
  'refcounts of 1 bit': ['-o', 'refcount_bits=1'],
  'refcounts of 64 bits': ['-o', 'refcount_bits=64'],
  'all tables allocated': ['-o', 'preallocation=metadata,cluster_size=4096'],
}

/** Makes them in `folder` with QEMU's own tools; `decoy` is what those that name another file name. */
export async function makeBases(folder: string, decoy: string): Promise<BaseImage[]> {
  const bases: BaseImage[] = []
  const path = join(folder, 'base')
  const keep = async (name: string) => {
    bases.push({ name, bytes: await readFile(path) })
    await rm(path)
  }
  for (const [name, options] of Object.entries(CREATED)) {
    await qemuImg('create', '-q', '-f', 'qcow2', ...options, path, SIZE)
    await fill(path)
    await keep(name)
  }
  await makeCompressed(folder, path, keep)
  await makeForbidden(folder, path, decoy, keep)
  bases.push(...rawDisks())
  return bases
}

type Keep = (name: string) => Promise<void>

async function makeCompressed(folder: string, path: string, keep: Keep): Promise<void> {
  const raw = join(folder, 'raw')
  await writeFile(raw, Buffer.alloc(1024 * 1024, 'something that packs well '))
  for (const type of ['zlib', 'zstd']) {
    await qemuImg('convert', '-c', '-f', 'raw', '-O', 'qcow2', '-o', `compression_type=${type}`, raw, path)
    await keep(`compressed with ${type}`)
  }
  await rm(raw)
}

/** Mutation may take away what makes them forbidden, or half of it. */
async function makeForbidden(folder: string, path: string, decoy: string, keep: Keep): Promise<void> {
  await qemuImg('create', '-q', '-f', 'qcow2', '-b', decoy, '-F', 'raw', path, SIZE)
  await keep('a backing file')
  await qemuImg('create', '-q', '-f', 'qcow2', '-o', `data_file=${join(folder, 'data.raw')}`, path, SIZE)
  await keep('a data file')
  const luks = 'encrypt.format=luks,encrypt.key-secret=key,encrypt.iter-time=10'
  await qemuImg('create', '-q', '-f', 'qcow2', '--object', 'secret,id=key,data=hush', '-o', luks, path, '1M')
  await keep('LUKS encryption')
  await qemuImg('create', '-q', '-f', 'qcow2', path, SIZE)
  await fill(path)
  for (const name of ['one', 'two']) await qemuImg('snapshot', '-c', name, path)
  await keep('snapshots')
  await qemuImg('create', '-q', '-f', 'qcow2', path, SIZE)
  await qemuImg('bitmap', '--add', '-f', 'qcow2', path, 'changed')
  await fill(path)
  await keep('bitmaps')
}

/** A boot sector with its mark, and noise that is not. */
function rawDisks(): BaseImage[] {
  const disk = Buffer.alloc(256 * 1024)
  disk.writeUInt16LE(0xaa55, 510)
  disk.write('a file system', 65_536)
  return [
    { name: 'a raw disk', bytes: disk },
    { name: 'a raw disk of text', bytes: Buffer.alloc(128 * 1024, 'nothing but words\n') },
  ]
}

async function fill(path: string): Promise<void> {
  const writes = ['write -q -P 0x5a 0 64k', 'write -q -P 0xa5 1M 128k', 'write -q -z 4M 64k']
  await runCommand('qemu-io', ['-f', 'qcow2', ...writes.flatMap((write) => ['-c', write]), path], TIMEOUT)
}

function qemuImg(...args: string[]) {
  return runCommand('qemu-img', args, TIMEOUT)
}
