import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { execFile } from 'node:child_process'
import { chmod, copyFile, mkdir, mkdtemp, readdir, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const SCRIPT = join(import.meta.dirname, '../../../migrate-state.sh')

/** A clone with nothing in it but the script, and stand-ins for `docker` and `sandlabx` that say what they were asked. */
let clone: string
beforeEach(async () => {
  clone = await realpath(await mkdtemp(join(tmpdir(), 'sandlabx-script-')))
  await copyFile(SCRIPT, join(clone, 'migrate-state.sh'))
  await program('sandlabx', 'printf "%s\\n" "$@"\nfor one in "$@"; do [ ! -d "$one" ] || ls "$one"; done')
})
afterEach(() => rm(clone, { recursive: true, force: true }))

async function program(name: string, lines: string): Promise<void> {
  const path = join(clone, name)
  await writeFile(path, `#!/bin/bash\n${lines}\n`)
  await chmod(path, 0o755)
}

/** An engine with the old things on it; `status` is that of the old container, `none` when there is none. */
async function engine({ status = 'exited', running = '' } = {}): Promise<void> {
  await mkdir(join(clone, 'bin'))
  await mkdir(join(clone, 'volume'))
  await writeFile(join(clone, 'volume/node_x.qcow2'), '')
  await program(
    'bin/docker',
    `case "$*" in
      info | 'compose version') ;;
      *State.Status*sandlabx-backend) [ ${status} != none ] && echo ${status} ;;
      *Mounts*sandlabx-backend) printf 'volume|sandlabx-overlays|/v|/overlays\\nbind||/old/images|/images\\n' ;;
      'cp sandlabx-backend:/app/nodes-state.json '*) echo '{"nodes":[]}' >"\${@: -1}" ;;
      'volume inspect --format '*sandlabx-overlays) echo ${clone}/volume ;;
      'volume inspect sandlabx-overlays') ;;
      'compose ps '*) echo ${running} ;;
      'compose run '*) printf '%s\\n' "$@" ;;
      *) exit 1 ;;
    esac`,
  )
}

function run(...args: string[]): Promise<{ exitCode: number; lines: string[]; err: string }> {
  const env = { PATH: `${clone}/bin:/usr/bin:/bin` }
  return new Promise((settle) => {
    const child = execFile(join(clone, 'migrate-state.sh'), args, { env }, (error, stdout, stderr) =>
      settle({ exitCode: typeof error?.code === 'number' ? error.code : 0, lines: stdout.split('\n'), err: stderr }),
    )
    child.stdin?.end()
  })
}

/** The values of an option, in order. */
const valuesOf = (lines: string[], option: string) =>
  lines.flatMap((line, index) => (lines[index - 1] === option ? [line] : []))

describe('migrate-state.sh', () => {
  it('gives the container of the new one what it found of a stopped old one, read-only', async () => {
    await engine()
    const { exitCode, lines } = await run('--dry-run', '--target', 'compose', '--without', 'two words')
    expect(exitCode).toBe(0)
    const mounts = valuesOf(lines, '-v').map((mount) => mount.replace(/^.*\/\.migrate-\w+\//, '…/'))
    expect(mounts).toEqual([
      '…/container:/migrate/container:ro',
      'sandlabx-overlays:/migrate/volume-sandlabx-overlays/overlays:ro',
      '/old/images:/migrate/container-images/images:ro',
    ])
    expect(valuesOf(lines, '--from')).toEqual([
      '/migrate/container',
      '/migrate/volume-sandlabx-overlays',
      '/migrate/container-images',
    ])
    expect(valuesOf(lines, '--without')).toEqual(['two words'])
    expect(lines).toContain('--dry-run')
    expect(lines).toContain('-T') // no terminal
  })

  it('gives the one on this machine folders, and leaves none behind', async () => {
    await engine()
    const { lines } = await run('--yes', '--target', 'embedded')
    expect(lines.slice(0, 2)).toEqual(['state', 'migrate'])
    expect(valuesOf(lines, '--from').map((path) => path.replace(/^.*\//, ''))).toEqual([
      'container',
      'volume-sandlabx-overlays',
      'container-images',
    ])
    expect(lines).toEqual(expect.arrayContaining(['nodes-state.json', 'overlays', 'images']))
    expect((await readdir(clone)).filter((name) => name.startsWith('.migrate'))).toEqual([])
  })

  it('takes plain folders without any engine', async () => {
    await mkdir(join(clone, 'bin'))
    await program('bin/docker', 'exit 1')
    const { exitCode, lines } = await run('--yes', '--from', clone, '--json')
    expect(exitCode).toBe(0)
    expect(lines.slice(0, 6)).toEqual(['state', 'migrate', '--from', clone, '--yes', '--json'])
  })

  it('lets old disks be deleted only where that was asked for', async () => {
    await engine()
    const kept = await run('--yes', '--target', 'compose')
    expect(valuesOf(kept.lines, '-v').every((mount) => mount.endsWith(':ro'))).toBe(true)
    const deleted = await run('--yes', '--delete-old', '--target', 'compose')
    expect(valuesOf(deleted.lines, '-v').every((mount) => mount.endsWith(':rw'))).toBe(true)
  })

  it.each([
    ['the old one runs', { status: 'running' }, ['--yes'], 1, 'docker stop sandlabx-backend'],
    ['the new one runs', { running: 'abc' }, ['--yes', '--target', 'compose'], 75, 'docker compose stop backend'],
    ['nobody can be asked', {}, [], 2, '--yes'],
    ['an option is unknown', {}, ['--force'], 2, '--help'],
    ['a folder is not there', {}, ['--from', '/nowhere'], 1, 'overlays/'],
  ])('refuses with the next step when %s', async (_, state, args, exitCode, next) => {
    await engine(state)
    const refused = await run(...args)
    expect(refused).toMatchObject({ exitCode, err: expect.stringContaining(next) })
    expect(refused.lines).toEqual([''])
  })
})
