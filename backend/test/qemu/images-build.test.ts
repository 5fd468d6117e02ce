import { chmod, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { isSandlabError, type SandlabError } from '../../src/domain/error.js'
import type { Image } from '../../src/domain/image.js'
import { RECIPES } from '../../src/images/build.js'
import { runCommand } from '../../src/system/command.js'
import { buildImage, openImageRoom, testOperation, type ImageRoom } from '../support/image-room.js'
import { until } from '../support/until.js'

const MINUTES = 60_000
const REAL_PATH = process.env['PATH'] ?? ''

let room: ImageRoom
let tools: string

beforeEach(async () => {
  room = await openImageRoom()
  tools = await mkdtemp(join(tmpdir(), 'sandlabx-tools-'))
})
afterEach(async () => {
  process.env['PATH'] = REAL_PATH
  await room.close()
  await rm(tools, { recursive: true, force: true })
})

/** A program of that name comes before the machine's own. */
async function standIn(name: string, script: string): Promise<void> {
  await writeFile(join(tools, name), `#!/bin/sh\n${script}\n`)
  await chmod(join(tools, name), 0o755)
  process.env['PATH'] = `${tools}:${REAL_PATH}`
}

const build = (recipeId: string, op = testOperation()): Promise<Image> => buildImage({ ...room, recipeId, op })

async function failureOf(work: Promise<unknown>): Promise<SandlabError> {
  const error = await work.then(
    () => new Error('it succeeded'),
    (reason: unknown) => reason,
  )
  if (isSandlabError(error)) return error
  throw error
}

/** The folder itself is made by the first that needs it. */
function staged(): Promise<string[]> {
  return readdir(join(room.layout.images, '.staging')).catch(() => [])
}

async function expectNothingLeft(): Promise<void> {
  expect(await staged()).toEqual([])
  expect(await room.files()).toEqual([])
  expect(room.store.data.images).toEqual([])
  const mounts = await runCommand('cat', ['/proc/mounts'], { timeoutMs: 5000 })
  expect(mounts.stdout).not.toContain(room.folder)
}

describe('building a starter image', () => {
  it('offers the three, each with an estimate', () => {
    expect(RECIPES.map(({ id }) => id)).toEqual(['tiny', 'debian-12', 'debian-12-systemd'])
    for (const { buildSeconds } of RECIPES) expect(buildSeconds).toBeGreaterThan(5)
  })

  it(
    'makes tiny with growing progress, read-only, and with nothing else left',
    async () => {
      const op = testOperation()
      const image = await build('tiny', op)
      expect(room.store.data.images).toEqual([image])
      expect(image).toMatchObject({ id: 'tiny', origin: 'built', cloudInit: true, virtualSizeBytes: 64 * 1024 * 1024 })
      expect(image.directBoot?.commandLine).toContain('console=tty1 console=ttyS0')
      const figures = op.steps.flatMap(({ progress }) => progress ?? []) // a step may leave it as it was
      expect(figures.length).toBeGreaterThan(5)
      expect(figures).toEqual(figures.toSorted((a, b) => a - b))
      expect(await room.files()).toEqual(expect.arrayContaining(['tiny.initrd', 'tiny.qcow2', 'tiny.vmlinuz']))
      expect(await staged()).toEqual([])
      expect((await failureOf(build('tiny'))).code).toBe('image_exists')
    },
    5 * MINUTES,
  )

  it('builds an image once at a time', async () => {
    const op = testOperation()
    const first = failureOf(build('tiny', op))
    expect((await failureOf(build('tiny'))).code).toBe('busy')
    op.abort()
    expect((await first).code).toBe('cancelled')
    await expectNothingLeft()
  })

  it('refuses a recipe that there is not', async () => {
    expect((await failureOf(build('no-such-recipe'))).code).toBe('not_found')
  })

  it('says so when there is no way to the mirror, in the words of apt', async () => {
    await standIn(
      'apt-get',
      `case $1 in indextargets) exit 0;; esac
       echo "E: Failed to fetch http://deb.debian.org/debian/dists/bookworm/InRelease  Temporary failure resolving" >&2
       exit 100`,
    )
    const error = await failureOf(build('tiny'))
    expect(error.code).toBe('download_failed')
    expect(error.message).toContain('Temporary failure resolving')
    expect(error.hint).toContain('apt-get update')
    await expectNothingLeft()
  })

  it(
    'names the Debian package of a program that is missing',
    async () => {
      await linkAllBut('mmdebstrap')
      const error = await failureOf(build('debian-12'))
      expect(error.code).toBe('missing_tool')
      expect(error.hint).toContain('apt-get install mmdebstrap')
      await expectNothingLeft()
    },
    5 * MINUTES,
  )

  it(
    'passes on why mmdebstrap failed',
    async () => {
      await standIn('mmdebstrap', 'echo "E: unable to install foo" >&2; exit 25')
      const error = await failureOf(build('debian-12'))
      expect(error.code).toBe('build_failed')
      expect(error.message).toBe('Could not build debian-12: unable to install foo')
      await expectNothingLeft()
    },
    5 * MINUTES,
  )

  it(
    'says that the disk is full when mmdebstrap meets its end',
    async () => {
      await standIn('mmdebstrap', 'echo "tar: ./usr: Cannot write: No space left on device" >&2; exit 25')
      expect((await failureOf(build('debian-12'))).code).toBe('no_space')
      await expectNothingLeft()
    },
    5 * MINUTES,
  )

  it(
    'stops at once when it is cancelled in the middle of mmdebstrap, and leaves neither files nor mounts',
    async () => {
      const op = testOperation()
      const failure = failureOf(build('debian-12', op))
      const deadline = Date.now() + 4 * MINUTES
      while (!op.steps.some(({ text }) => text === 'Unpacking the base system') && Date.now() < deadline) {
        await Promise.race([
          failure,
          until(() => op.steps.some(({ text }) => text === 'Unpacking the base system')),
        ]).catch(
          () => undefined, // not within ten seconds: look again
        )
      }
      const cancelledAt = Date.now()
      op.abort()
      expect((await failure).code).toBe('cancelled')
      expect(Date.now() - cancelledAt).toBeLessThan(20_000)
      await expectNothingLeft()
    },
    6 * MINUTES,
  )
})

/** A PATH with every program of the machine but one. */
async function linkAllBut(missing: string): Promise<void> {
  await mkdir(tools, { recursive: true })
  for (const folder of ['/usr/bin', '/usr/sbin']) {
    for (const name of await readdir(folder)) {
      if (name !== missing) await symlink(join(folder, name), join(tools, name)).catch(() => undefined)
    }
  }
  process.env['PATH'] = tools
}
