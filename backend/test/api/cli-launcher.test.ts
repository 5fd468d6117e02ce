import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { execFile } from 'node:child_process'
import { chmod, copyFile, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

// The launcher in a small clone, on a machine that is all made up: only what lies in `bin` exists, apt-get and npm
// write down what they are asked for and make what a real one would make.

let clone: string
let bin: string
let system: string

/** From the real machine: the shell's own tools, which Debian always has. */
const ESSENTIAL = 'bash cat chmod cp cut date dirname env find flock getent grep head mkdir mv readlink rm sed'
  .concat(' sha256sum sleep sort stat tail tee touch tr wc xargs')
  .split(' ')

const PROVIDES: Record<string, string> = {
  'qemu-system-x86': '/usr/bin/qemu-system-x86_64',
  'qemu-utils': '/usr/bin/qemu-img',
  ovmf: '/usr/share/OVMF/OVMF_CODE_4M.fd',
  mmdebstrap: '/usr/bin/mmdebstrap',
  cpio: '/usr/bin/cpio',
  e2fsprogs: '/usr/sbin/mke2fs',
  genisoimage: '/usr/bin/genisoimage',
  'xz-utils': '/usr/bin/xz',
  openssl: '/usr/bin/openssl',
  iproute2: '/usr/bin/ip',
  slirp4netns: '/usr/bin/slirp4netns',
  'ca-certificates': '/etc/ssl/certs/ca-certificates.crt',
  'postgresql-common': '/etc/postgresql-common/createcluster.conf',
  postgresql: '/usr/lib/postgresql/15/bin/postgres',
  fakeroot: '/usr/bin/fakeroot',
  uidmap: '/usr/bin/newuidmap',
  chromium: '/usr/bin/chromium',
  strace: '/usr/bin/strace',
  procps: '/usr/bin/ps',
  python3: '/usr/bin/python3',
  make: '/usr/bin/make',
  'g++': '/usr/bin/g++',
}

beforeEach(async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sandlabx-launcher-'))
  clone = join(folder, 'clone')
  system = join(folder, 'system')
  bin = join(system, 'usr/bin')
  for (const made of [bin, join(system, 'usr/sbin'), join(clone, 'backend/src/domain'), join(clone, 'frontend/src')]) {
    await mkdir(made, { recursive: true })
  }
  const repository = join(import.meta.dirname, '../../..')
  await copyFile(join(repository, 'sandlabx'), join(clone, 'sandlabx'))
  for (const [file, text] of Object.entries({
    'package-lock.json': '{}',
    'tsconfig.base.json': '{}',
    'backend/package.json': '{}',
    'backend/tsconfig.build.json': '{}',
    'backend/src/domain/node.ts': 'export {}',
    'frontend/package.json': '{}',
    'frontend/src/main.tsx': 'export {}',
  })) {
    await writeFile(join(clone, file), text)
  }
  for (const tool of ESSENTIAL) await symlink(await whereIs(tool), join(bin, tool))
  await stub('id', 'echo "${FAKE_UID:-0}"')
  await stub('node', `case $1 in --version) echo "\${FAKE_NODE:-v20.20.2}" ;; *) echo "node $*" ;; esac`)
  await stub(
    'npm',
    `echo "npm $*" >>"$RECORD"
     case $1 in
       ci) mkdir -p node_modules ;;
       run) part=\${*: -1}; mkdir -p "$part/dist" ;;
       rebuild) mkdir -p node_modules/node-pty/build/Release; touch node_modules/node-pty/build/Release/pty.node ;;
     esac
     [ "\${FAIL_NPM:-}" != "$1" ] || { echo "npm ERR! $1 went wrong"; exit 7; }`,
  )
  await stub(
    'apt-get',
    `echo "apt-get $*" >>"$RECORD"
     [ "$1" = install ] || exit 0
     for package; do
       case $package in ${Object.entries(PROVIDES)
         .map(([name, file]) => `${name}) make ${file} ;;`)
         .join('\n')} esac
     done
     if [ "\${*: -1}" = postgresql ]; then
       cat "$SANDLABX_SYSROOT/etc/postgresql-common/createcluster.conf" >>"$RECORD"
     fi`,
    'make() { mkdir -p "$(dirname "$SANDLABX_SYSROOT$1")"; echo "#!/bin/true" >"$SANDLABX_SYSROOT$1"; chmod 755 "$SANDLABX_SYSROOT$1"; }',
  )
  await stub('useradd', 'echo "useradd $*" >>"$RECORD"')
  await stub('getent', '[ "$2" = kvm ] || [ "${FAKE_USER:-}" = "$2" ]')
})

afterEach(() => rm(join(clone, '..'), { recursive: true, force: true }))

async function whereIs(tool: string): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile('bash', ['-c', `command -v ${tool}`], (error, stdout) => (error ? reject(error) : resolve(stdout.trim())))
  })
}

async function stub(name: string, body: string, before = ''): Promise<void> {
  await rm(join(bin, name), { force: true })
  await writeFile(join(bin, name), `#!/usr/bin/env bash\n${before}\n${body}\n`)
  await chmod(join(bin, name), 0o755)
}

interface Ending {
  exitCode: number
  out: string
  err: string
  /** What apt-get, npm and useradd were asked for, in order. */
  asked: string[]
}

async function launch(args: string[], env: Record<string, string> = {}): Promise<Ending> {
  const record = join(clone, '..', 'record')
  await writeFile(record, '')
  const options = { env: { PATH: bin, SANDLABX_SYSROOT: system, RECORD: record, ...env }, cwd: system }
  const ended = await new Promise<Omit<Ending, 'asked'>>((resolve) => {
    execFile(join(clone, 'sandlabx'), args, options, (error, out, err) => {
      resolve({ exitCode: error ? Number(error.code) : 0, out, err })
    })
  })
  const asked = (await readFile(record, 'utf8')).split('\n').filter((line) => line !== '')
  return { ...ended, asked }
}

const UP_PACKAGES = Object.keys(PROVIDES)
  .slice(0, Object.keys(PROVIDES).indexOf('fakeroot'))
  .filter((name) => name !== 'postgresql-common')

describe('./sandlabx up', () => {
  it('names the missing packages, installs them, adds the user, builds, and hands over', async () => {
    const { exitCode, out, err, asked } = await launch(['up', '--port', '8080'])
    expect({ exitCode, err }).toMatchObject({ exitCode: 0 })
    expect(out).toBe(`node ${clone}/backend/dist/cli/main.js up --port 8080\n`)
    expect(err.split('\n')[0]).toBe(`Missing Debian packages: ${UP_PACKAGES.join(' ')}`)
    const installed = asked.filter((line) => line.startsWith('apt-get install')).join(' ')
    for (const name of UP_PACKAGES) expect(installed).toMatch(new RegExp(`(^| )${name.replaceAll('+', '\\+')}( |$)`))
    expect(installed).not.toContain('chromium')
    expect(asked[0]).toBe('apt-get update -q')
    expect(asked).toContain(
      'useradd --system --gid=kvm --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin sandlabx',
    )
    expect(asked.filter((line) => line.startsWith('npm'))).toEqual([
      'npm ci --ignore-scripts --no-audit --no-fund',
      'npm run --silent build --workspace backend',
      'npm run --silent build --workspace frontend',
    ])
  })

  it('installs nothing and builds nothing the second time', async () => {
    await launch(['up'])
    const { exitCode, out, err, asked } = await launch(['up'], { FAKE_USER: 'sandlabx' })
    expect({ exitCode, out, err, asked }).toEqual({
      exitCode: 0,
      out: `node ${clone}/backend/dist/cli/main.js up\n`,
      err: '',
      asked: [],
    })
  })

  it('installs only what is missing', async () => {
    await launch(['up'])
    await rm(join(bin, 'cpio'))
    const { err, asked } = await launch(['up'], { FAKE_USER: 'sandlabx' })
    expect(err).toContain('Missing Debian packages: cpio\n')
    expect(asked.filter((line) => line.startsWith('apt-get install'))).toEqual([expect.stringMatching(/ cpio$/)])
  })

  it('keeps Debian from starting a PostgreSQL of its own, and leaves its settings as they were', async () => {
    const settings = join(system, 'etc/postgresql-common/createcluster.conf')
    const { asked } = await launch(['up'])
    const at = asked.findIndex((line) => line.startsWith('apt-get install') && line.endsWith(' postgresql'))
    expect(asked[at + 2]).toBe('create_main_cluster = false')
    expect(await readFile(settings, 'utf8')).toBe('#!/bin/true\n')
  })

  it('builds again only what has changed', async () => {
    await launch(['up'])
    await writeFile(join(clone, 'backend/src/domain/node.test.ts'), 'a test is no part of it')
    expect((await launch(['up'], { FAKE_USER: 'sandlabx' })).asked).toEqual([])
    await writeFile(join(clone, 'frontend/src/main.tsx'), 'export const changed = true')
    expect((await launch(['up'], { FAKE_USER: 'sandlabx' })).asked).toEqual([
      'npm run --silent build --workspace frontend',
    ])
    await writeFile(join(clone, 'backend/src/domain/node.ts'), 'export const changed = true') // the page has it too
    expect((await launch(['up'], { FAKE_USER: 'sandlabx' })).asked).toHaveLength(2)
  })

  it('installs the npm packages anew when the lock or the major version of Node.js changes', async () => {
    await launch(['up'])
    await writeFile(join(clone, 'package-lock.json'), '{"changed":true}')
    expect((await launch(['up'], { FAKE_USER: 'sandlabx' })).asked).toContain(
      'npm ci --ignore-scripts --no-audit --no-fund',
    )
    const { asked } = await launch(['up'], { FAKE_USER: 'sandlabx', FAKE_NODE: 'v24.1.0' })
    expect(asked).toContain('npm ci --ignore-scripts --no-audit --no-fund')
  })

  it.each(['v18.20.4', 'v20.18.9'])('says how to get a newer Node.js than %s, and touches nothing', async (version) => {
    const { exitCode, err, asked } = await launch(['up'], { FAKE_NODE: version })
    expect({ exitCode, asked }).toEqual({ exitCode: 1, asked: [] })
    expect(err).toContain(`SandLabX needs Node.js 20.19 or newer; here is ${version}.`)
    expect(err).toContain('NodeSource')
  })

  it.each(['v20.19.0', 'v22.0.0', 'v24.11.1'])('is content with Node.js %s', async (version) => {
    expect((await launch(['up'], { FAKE_NODE: version })).exitCode).toBe(0)
  })

  it('says how to get Node.js and npm where there are none', async () => {
    await rm(join(bin, 'npm'))
    expect((await launch(['up'])).err).toContain('apt-get install npm')
    await rm(join(bin, 'node'))
    expect((await launch(['up'])).err).toContain('20.19 or newer; here is none.')
  })

  it('shows where it failed, the last lines, and the log', async () => {
    const { exitCode, err } = await launch(['up'], { FAIL_NPM: 'ci' })
    expect(exitCode).toBe(1)
    expect(err).toContain('    npm ERR! ci went wrong')
    expect(err).toContain(`The whole output is in ${clone}/run/launcher.log.`)
    expect(await readFile(join(clone, 'run/launcher.log'), 'utf8')).toContain('npm ERR! ci went wrong')
    const again = await launch(['up'], { FAKE_USER: 'sandlabx' })
    expect(again.asked).toContain('npm ci --ignore-scripts --no-audit --no-fund')
  })
})

describe('./sandlabx up as an ordinary user', () => {
  it('installs with sudo and adds no user', async () => {
    await stub('sudo', 'shift; echo "sudo $*" >>"$RECORD"; [ "$1" = true ] || "$@"')
    const { exitCode, asked } = await launch(['up'], { FAKE_UID: '1000' })
    expect(exitCode).toBe(0)
    expect(asked).toContain('sudo apt-get update -q')
    expect(asked.join('\n')).toMatch(/apt-get install .* fakeroot uidmap\n/)
    expect(asked.some((line) => line.startsWith('useradd'))).toBe(false)
  })

  it('says what an administrator must do where sudo is not there or not allowed', async () => {
    const without = await launch(['up'], { FAKE_UID: '1000' })
    expect(without.exitCode).toBe(1)
    expect(without.err).toContain('As root: apt-get install --no-install-recommends qemu-system-x86')
    await stub('sudo', 'exit 1')
    const refused = await launch(['up'], { FAKE_UID: '1000' })
    expect(refused.exitCode).toBe(1)
    expect(refused.err).toContain('Ask an administrator for: apt-get install')
    expect(refused.asked).toEqual([])
  })
})

describe('./sandlabx test', () => {
  it('installs what the tests need as well, compiles node-pty, and runs them', async () => {
    const { exitCode, out, asked } = await launch(['test', '--bail'])
    expect(exitCode).toBe(0)
    expect(out).toBe(`node ${clone}/scripts/run-tests.js --bail\n`)
    expect(asked.join('\n')).toMatch(/apt-get install .* chromium strace procps python3 make g\+\+ libnode-dev\n/)
    expect(asked.at(-1)).toBe('npm rebuild node-pty --foreground-scripts')
    expect((await launch(['test'], { FAKE_USER: 'sandlabx' })).asked).toEqual(
      expect.not.arrayContaining([expect.stringContaining('npm')]),
    )
  })
})

describe('every other verb', () => {
  it('installs no Debian package and builds only the command line', async () => {
    const { out, asked } = await launch(['ls', '--json', 'a b'])
    expect(out).toBe(`node ${clone}/backend/dist/cli/main.js ls --json a b\n`)
    expect(asked).toEqual([
      'npm ci --ignore-scripts --no-audit --no-fund',
      'npm run --silent build --workspace backend',
    ])
  })

  it('shows its help without installing anything', async () => {
    const { exitCode, out, asked } = await launch([])
    expect({ exitCode, asked }).toEqual({ exitCode: 0, asked: [] })
    expect(out).toContain('./sandlabx up')
    await launch(['ls'])
    expect((await launch(['--help'])).out).toBe(`node ${clone}/backend/dist/cli/main.js --help\n`)
  })

  it('works from any folder and through a link', async () => {
    await symlink(join(clone, 'sandlabx'), join(bin, 'sandlabx-link'))
    const ending = await new Promise<string>((resolve) => {
      const env = { PATH: bin, SANDLABX_SYSROOT: system, RECORD: '/dev/null' }
      execFile(join(bin, 'sandlabx-link'), ['ls'], { env, cwd: '/' }, (_error, out) => resolve(out))
    })
    expect(ending).toBe(`node ${clone}/backend/dist/cli/main.js ls\n`)
  })
})
