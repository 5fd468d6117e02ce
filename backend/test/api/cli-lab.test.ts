import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { spawn } from 'node-pty'
import type { UserId } from '../../src/domain/ids.js'
import { cli, type CliResult } from '../support/cli.js'
import { compileSources, type CompiledSources } from '../support/compiled-backend.js'
import { addTestImage, startTestLab, type Person, type TestLab } from '../support/lab.js'
import { until } from '../support/until.js'

// The command line against the real server: that both mean the same by the same words. Only the engine is a fake.

let lab: TestLab
let boss: Person
let anna: Person
let folder: string
let sources: CompiledSources

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sandlabx-cli-lab-'))
  sources = await compileSources(['cli', 'domain'])
  lab = await startTestLab()
  const { lab: parts, config } = lab.backend.services
  await addTestImage(config.layout, parts!.store)
  boss = await lab.person('administrator', 'boss')
  anna = await lab.person('student', 'anna')
}, 60_000)

afterAll(async () => {
  await lab?.close()
  await sources?.remove()
  await rm(folder, { recursive: true, force: true })
})

function as(person: Person, ...argv: string[]): Promise<CliResult> {
  return cli(argv, { env: { SANDLABX_URL: lab.url, SANDLABX_TOKEN: person.token, XDG_CONFIG_HOME: folder } })
}

async function json(person: Person, ...argv: string[]): Promise<Record<string, unknown>> {
  const result = await as(person, ...argv, '--json')
  expect(result).toMatchObject({ exitCode: 0 })
  return JSON.parse(result.out) as Record<string, unknown>
}

describe("a node's life", () => {
  it('is made, started, changed, watched, stopped and deleted', async () => {
    const made = await as(anna, 'create', 'web-1', '--image', 'empty', '--memory', '64', '--disk', '32M')
    expect(made).toMatchObject({ exitCode: 0 })
    expect(made.out).toContain('Status\tstopped')
    expect((await as(anna, 'ls')).out).toMatch(/^web-1\tstopped\tanna\tempty\t1\t64\.0 MiB\t32\.0 MiB\t/)
    expect((await as(boss, 'show', 'anna/web-1', '--summary')).out).toContain('Owner\tanna')

    expect(await as(anna, 'set', 'web-1', '--cpus', '2', '--memory', '128M')).toMatchObject({ exitCode: 0 })
    expect(await as(anna, 'start', 'web-1')).toMatchObject({ exitCode: 0 })
    expect(await as(anna, 'set', 'web-1', '--cpus', '1')).toMatchObject({ exitCode: 1 })
    expect(await as(anna, 'restart', 'web-1')).toMatchObject({ exitCode: 0 })
    expect(await as(anna, 'suspend', 'web-1')).toMatchObject({ exitCode: 0 })
    expect((await as(anna, 'ls')).out).toMatch(/^web-1\tsuspended\t/)
    expect(await as(anna, 'stop', 'web-1')).toMatchObject({ exitCode: 1 })
    expect((await as(anna, 'set', 'web-1', '--on-stop', 'shutdown')).exitCode).toBe(0)
    expect(await as(anna, 'resume', 'web-1')).toMatchObject({ exitCode: 0 })
    expect(await as(anna, 'discard-memory', 'web-1')).toMatchObject({ exitCode: 1 })
    const picture = join(folder, 'screen.png')
    expect(await as(anna, 'screenshot', 'web-1', picture)).toMatchObject({ exitCode: 0 })
    expect((await readFile(picture)).subarray(1, 4).toString()).toBe('PNG')
    expect((await as(anna, 'log', 'web-1')).exitCode).toBe(0)
    expect(await as(anna, 'delete', 'web-1', '--force')).toMatchObject({ exitCode: 1 })
    expect(await as(anna, 'stop', 'web-1')).toMatchObject({ exitCode: 0 })
    expect((await as(anna, 'rename', 'web-1', 'web-2')).out).toBe('web-1 is now called web-2.\n')
    expect((await as(anna, 'events', 'web-2')).out).toMatch(/\tstarted\tanna\t/)
    expect(await as(anna, 'delete', 'web-2', '--force', '--delete-storage')).toMatchObject({ exitCode: 0 })
    expect((await as(anna, 'ls')).out).toBe('')
  })

  it('refuses what the server refuses, with its words and code', async () => {
    expect(await as(anna, 'create', 'Web_1', '--image', 'empty')).toMatchObject({ exitCode: 2 })
    const absent = await as(anna, 'create', 'web-1', '--image', 'no-such')
    expect(absent).toMatchObject({ exitCode: 1 })
    expect(absent.err).toContain('no-such')
    expect(await as(anna, 'create', 'web-1', '--image', 'empty', '--internet')).toMatchObject({ exitCode: 1 })
  })
})

describe("a node's storage", () => {
  it('is kept, attached, reset, brought back and proved', async () => {
    const well = async (...argv: string[]) => {
      const result = await as(boss, ...argv)
      expect(result).toMatchObject({ exitCode: 0 })
      return result.out
    }
    await well('create', 'disks', '--image', 'empty', '--memory', '64', '--disk', '32M')
    expect(await well('drive', 'add', 'disks', 'data', '--size', '16M', '--iops', '500')).toContain('stored now')
    await well('snapshot', 'disks', 'create', 'monday', '--note', 'first')
    expect(await well('snapshot', 'disks')).toMatch(/^monday\t.*\tfirst$/m)
    await well('reset', 'disks', '--snapshot', 'monday', '--force')
    expect(await well('trash', 'ls')).toContain('disk of disks')
    const [reset] = (await well('operations', 'ls', '--kind', 'node.reset')).trim().split('\t').slice(-1)
    expect(await well('undo', reset ?? '', '--force')).toBe('All of it is back.\n')
    expect(await well('storage', 'verify', 'disks', '--level', 'files')).toContain('All storage verified')

    const yaml = join(folder, 'disks.yaml')
    await writeFile(yaml, await well('show', 'disks'))
    const { node } = (await json(boss, 'show', 'disks')) as { node: { overlayPath: string } }
    await well('delete', 'disks', '--force')
    expect(await well('storage', 'orphaned')).toContain(node.overlayPath)
    await well('storage', 'attach', 'disks', node.overlayPath, '--vm-config', yaml)
    await well('delete', 'disks', '--delete-storage', '--force')
    await well('trash', 'restore', 'disks')
    expect(await well('ls')).toMatch(/^disks\tstopped\t/m)
    await well('delete', 'disks', '--delete-storage', '--force')
    await well('trash', 'purge', '--all', '--force')
    expect(await well('settings', 'set', 'trash-days', '14')).toContain('14 days')
    expect(await well('storage', 'space')).toContain('free of')
  })
})

describe('people and records', () => {
  it('makes an account that can sign in, change its password and sign out', async () => {
    const { user, password } = await json(boss, 'user', 'add', 'bert', '--role', 'instructor')
    expect(user).toMatchObject({ login: 'bert', role: 'instructor' })
    const refused = await cli(['login', lab.url, '--login', 'bert', '--password-stdin'], {
      env: { XDG_CONFIG_HOME: folder },
      stdin: 'not this one\n',
    })
    expect(refused).toMatchObject({ exitCode: 1 })
    await lab.backend.services.accounts.setPassword((user as { id: UserId }).id, 'a password of my own', {
      mustChange: false,
      keepCredentialId: null,
    })
    expect(password).toEqual(expect.any(String))
    const env = { XDG_CONFIG_HOME: folder }
    const login = await cli(['login', lab.url, '--login', 'bert', '--password-stdin'], {
      env,
      stdin: 'a password of my own\n',
    })
    expect(login).toMatchObject({ exitCode: 0 })
    expect((await cli(['whoami'], { env })).out).toContain('Login\tbert')
    expect((await cli(['token', 'ls'], { env })).out).toMatch(/^sandlabx on /)
    expect(await cli(['logout'], { env })).toMatchObject({ exitCode: 0 })
    expect(await cli(['whoami'], { env })).toMatchObject({ exitCode: 1 })
  })

  it('changes people, and guards them', async () => {
    expect((await as(boss, 'user', 'role', 'anna', 'instructor')).out).toBe('anna is now instructor.\n')
    expect((await as(boss, 'user', 'role', 'anna', 'student')).exitCode).toBe(0)
    expect((await as(boss, 'user', 'reset-password', 'bert')).out).toMatch(/Password\t\S+/)
    expect((await as(boss, 'user', 'disable', 'bert')).out).toBe('bert is disabled.\n')
    expect(await as(anna, 'user', 'ls')).toMatchObject({ exitCode: 1 })
  })

  it('makes and revokes tokens', async () => {
    const { token } = await json(anna, 'token', 'create', 'ci')
    const mine = { ...anna, token: String(token) }
    expect((await as(mine, 'whoami')).exitCode).toBe(0)
    expect((await as(anna, 'token', 'revoke', 'ci')).exitCode).toBe(0)
    expect(await as(mine, 'whoami')).toMatchObject({ exitCode: 1 })
  })

  it('reads the audit log, with filters', async () => {
    const { out } = await as(boss, 'audit', '--limit', '5', '--actor', 'anna', '--action', 'token.revoke')
    expect(out).toMatch(/\tanna\ttoken\.revoke\t.*\tsuccess\t/)
    expect(await as(anna, 'audit')).toMatchObject({ exitCode: 1 })
  })

  it('lists images and operations, and says how it is', async () => {
    expect((await as(anna, 'image', 'ls')).out).toMatch(/^empty\tTest image empty\t/)
    expect((await as(anna, 'image', 'catalog')).out).toMatch(/\tpull\t/)
    expect(await as(anna, 'image', 'rm', 'empty')).toMatchObject({ exitCode: 1 })
    expect((await as(anna, 'operations', 'ls')).exitCode).toBe(0)
    const { checks } = await json(boss, 'doctor')
    expect(checks).toContainEqual(expect.objectContaining({ id: 'postgres', state: 'ok' }))
    const plain = await as(anna, 'doctor')
    expect(plain.out).toMatch(/^State\t/)
  })
})

describe('sandlabx image import', () => {
  it('uploads a file, imports it, and gives the refusal of a hostile one', async () => {
    const { lab: parts, config } = lab.backend.services
    const file = join(config.layout.images, parts!.store.data.images[0]!.file)
    const imported = await as(boss, 'image', 'import', file, '--name', 'copy', '--title', 'A copy')
    expect(imported).toMatchObject({ exitCode: 0 })
    expect((await as(boss, 'image', 'ls')).out).toMatch(/^copy\tA copy\t/m)
    const hostile = join(folder, 'hostile.vmdk')
    const { writeFile } = await import('node:fs/promises')
    await writeFile(hostile, '# Disk DescriptorFile\nversion=1\nRW 1 FLAT "/etc/passwd" 0\n')
    const refused = await as(boss, 'image', 'import', hostile, '--name', 'hostile')
    expect(refused.exitCode).toBe(1)
    expect(refused.err).toContain('sandlabx:')
    expect((await as(boss, 'image', 'rm', 'copy')).exitCode).toBe(0)
  })
})

describe('sandlabx console', () => {
  it('types on the serial line of a running node through the real gateway', async () => {
    expect(await as(anna, 'create', 'tty-1', '--image', 'empty', '--memory', '64', '--start')).toMatchObject({
      exitCode: 0,
    })
    const pty = spawn(process.execPath, [sources.path('cli/main.js'), 'console', 'tty-1'], {
      cols: 100,
      rows: 30,
      env: { PATH: process.env['PATH'], HOME: folder, SANDLABX_URL: lab.url, SANDLABX_TOKEN: anna.token },
    })
    let seen = ''
    let exitCode: number | undefined
    pty.onData((text) => (seen += text))
    pty.onExit((ending) => (exitCode = ending.exitCode))
    try {
      await until(
        () => seen.includes('You type. Nobody else is here.'),
        () => seen,
      )
      pty.write('echo-this-4711\r')
      await until(
        () => seen.includes('echo-this-4711'),
        () => seen,
      )
      pty.write('\u001D')
      await until(
        () => exitCode !== undefined,
        () => seen,
      )
      expect(exitCode).toBe(0)
      expect(seen).toContain('Detached from tty-1')
    } finally {
      if (exitCode === undefined) pty.kill('SIGKILL')
    }
    await as(anna, 'stop', 'tty-1', '--now')
  })
})
