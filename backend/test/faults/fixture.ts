import { execFile } from 'node:child_process'
import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { overlayFile, quarantineDir } from '../../src/domain/layout.js'
import { writeImageSidecar } from '../../src/storage/image-sidecars.js'
import { createNodeSchema } from '../../src/domain/node.js'
import { addTestImage } from '../support/test-image.js'
import { ACTOR, idOf, openRooms } from './rooms.js'

const run = promisify(execFile)

export interface Fixture {
  /** Copies of the prepared data folder lie in here. */
  room: string
  /** A fresh copy of it, holes and times kept. */
  copy(name: string): Promise<string>
  remove(): Promise<void>
}

/** A data folder with two nodes, of which alpha's disk has been written to and two images. */
export async function makeFixture(): Promise<Fixture> {
  const room = await mkdtemp(join(tmpdir(), 'sandlabx-faults-'))
  await chmod(room, 0o755)
  const prepared = join(room, 'prepared')
  await mkdir(prepared)
  const rooms = await openRooms(prepared)
  for (const id of ['empty', 'spare'])
    await writeImageSidecar(rooms.layout, await addTestImage(rooms.layout, rooms.store, id))
  for (const [name, cpus] of [
    ['alpha', 2],
    ['beta', 1],
  ]) {
    await rooms.nodes.create(createNodeSchema.parse({ name, image: 'empty', cpus }), ACTOR)
  }
  const disk = overlayFile(rooms.layout, idOf(rooms, 'alpha'))
  await run('qemu-io', ['-f', 'qcow2', '-c', 'write -P 65 1M 256k', disk])
  await mkdir(quarantineDir(rooms.layout), { recursive: true, mode: 0o700 })
  await rooms.close()
  return {
    room,
    async copy(name) {
      const target = join(room, name)
      await run('cp', ['-a', '--reflink=auto', '--sparse=always', prepared, target])
      return target
    },
    remove: () => rm(room, { recursive: true, force: true }),
  }
}
