import { createHash } from 'node:crypto'
import { execFile } from 'node:child_process'
import { chmod, mkdir, readFile, stat } from 'node:fs/promises'
import { promisify } from 'node:util'
import { imageIdSchema } from '../../src/domain/ids.js'
import type { Image } from '../../src/domain/image.js'
import { imageFile, type Layout } from '../../src/domain/layout.js'
import type { Store } from '../../src/state/store.js'

const run = promisify(execFile)
const VIRTUAL_BYTES = 16 * 1024 * 1024

/** A real, empty qcow2 as a base image, for tests that boot nothing. */
export async function addTestImage(
  layout: Layout,
  store: Store,
  id = 'empty',
  changes: Partial<Image> = {},
): Promise<Image> {
  const file = `${id}.qcow2`
  const path = imageFile(layout, file)
  await mkdir(layout.images, { recursive: true })
  await run('qemu-img', ['create', '-q', '-f', 'qcow2', path, String(VIRTUAL_BYTES)])
  await chmod(path, 0o444)
  const { size, mtimeMs } = await stat(path)
  const image: Image = {
    id: imageIdSchema.parse(id),
    file,
    title: `Test image ${id}`,
    description: '',
    origin: 'imported',
    version: '1',
    virtualSizeBytes: VIRTUAL_BYTES,
    fingerprint: {
      sha256: createHash('sha256')
        .update(await readFile(path))
        .digest('hex'),
      sizeBytes: size,
      mtimeMs: Math.floor(mtimeMs),
    },
    bootFiles: {},
    firmware: 'bios',
    directBoot: null,
    cloudInit: false,
    loginNotes: 'Nobody can sign in: it is empty.',
    minimumMemoryMib: 64,
    createdAt: new Date().toISOString(),
    ...changes,
  }
  await store.change((draft) => void draft.images.push(image))
  return image
}
