import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { access, link, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { imageSchema, type Image } from '../../src/domain/image.js'
import { imageFile, layoutOf, type Layout } from '../../src/domain/layout.js'
import { openStore, type Store } from '../../src/state/store.js'
import { writeImageSidecar } from '../../src/storage/image-sidecars.js'
import { createLog } from '../../src/system/log.js'
import type { OperationHandle } from '../../src/transactions/operations.js'
import { buildImage, testOperation } from './image-room.js'

export type StarterId = 'tiny' | 'debian-12' | 'debian-12-systemd'

const run = promisify(execFile)
const SOURCES = fileURLToPath(new URL('../../src/images', import.meta.url))

/**
 * Puts a starter image into a data folder, files and record, as if it had been built there. Built once for each state of
 * the recipes, then kept in the temporary folder (or SANDLABX_TEST_IMAGES) for all suites; a build takes a minute.
 */
export async function provideImage(layout: Layout, store: Store, id: StarterId): Promise<Image> {
  const image = await provideImageFiles(layout, id)
  await writeImageSidecar(layout, image)
  await store.change((draft) => {
    draft.images = [...draft.images.filter((one) => one.id !== image.id), image]
  })
  return image
}

/** The files alone, for tests without a store. */
export async function provideImageFiles(layout: Layout, id: StarterId): Promise<Image> {
  const folder = await builtImage(id)
  const image = imageSchema.parse(JSON.parse(await readFile(join(folder, 'image.json'), 'utf8')))
  await mkdir(layout.images, { recursive: true })
  for (const name of filesOf(image)) await linkOrCopy(join(folder, name), imageFile(layout, name))
  return image
}

const filesOf = (image: Image) => [image.file, ...Object.keys(image.bootFiles)]

/** The folder with the image's files and `image.json`; builds it when there is none. */
async function builtImage(id: StarterId): Promise<string> {
  const kept = process.env['SANDLABX_TEST_IMAGES'] ?? join(tmpdir(), `sandlabx-test-images-${await recipeHash()}`)
  const folder = join(kept, id)
  const there = await access(folder).then(
    () => true,
    () => false,
  )
  if (there) return folder
  await mkdir(kept, { recursive: true })
  const work = await mkdtemp(join(kept, `.${id}-`))
  try {
    await buildInto(work, id, testOperation())
    // By rename, so that it is there whole or not at all; another process may have been quicker.
    await rename(join(work, 'done'), folder).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error
    })
  } finally {
    await rm(work, { recursive: true, force: true })
  }
  return folder
}

/** Builds in a data folder of its own and gathers files and record in `<work>/done`. */
async function buildInto(work: string, id: StarterId, op: OperationHandle): Promise<void> {
  const layout = layoutOf(join(work, 'data'))
  for (const path of [layout.images, layout.overlays, layout.state, layout.run]) await mkdir(path, { recursive: true })
  const log = createLog('silent')
  const { store } = await openStore({ layout, log })
  try {
    const image = await buildImage({ layout, store, log, recipeId: id, op })
    const done = join(work, 'done')
    await mkdir(done)
    for (const name of filesOf(image)) await rename(imageFile(layout, name), join(done, name))
    await writeFile(join(done, 'image.json'), JSON.stringify(image))
  } finally {
    await store.close()
  }
}

/** Of everything that decides what a build makes. */
async function recipeHash(): Promise<string> {
  const hash = createHash('sha256')
  const names = (await readdir(SOURCES, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => /\/(build[^/]*|recipes)\.[jt]s$|\/recipes\//.test(path) && !/\.test\.[jt]s$/.test(path))
  for (const path of names.toSorted()) hash.update(`${path.slice(SOURCES.length)}\0`).update(await readFile(path))
  return hash.digest('hex').slice(0, 12)
}

/** The time of change is part of the fingerprint. */
async function linkOrCopy(from: string, to: string): Promise<void> {
  try {
    await link(from, to)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return
    await run('cp', ['--preserve=mode,timestamps', '--sparse=always', '--reflink=auto', '--', from, to])
  }
}
