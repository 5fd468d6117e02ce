import { describe, expect, it, jest } from '@jest/globals'
import { mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isSandlabError } from '../domain/error.js'
import { childEnvironment } from './command-environment.js'
import { CommandError, runCommand } from './command.js'

// Real processes on a machine that may be busy.
jest.setTimeout(30_000)

async function failureOf(work: Promise<unknown>): Promise<unknown> {
  try {
    await work
  } catch (error) {
    return error
  }
  throw new Error('the command succeeded')
}

async function commandError(work: Promise<unknown>): Promise<CommandError> {
  const error = await failureOf(work)
  if (!(error instanceof CommandError)) throw new Error('not a CommandError', { cause: error })
  return error
}

/** The letter of proc(5); `Z` when it has ended and nobody has asked for its exit code. */
async function stateOf(pid: number): Promise<string> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '0 (x) gone')
  return text.slice(text.lastIndexOf(')') + 2).split(' ')[0] ?? ''
}

const shell = (script: string) => ['-c', script]

describe('runCommand', () => {
  it('gives back both streams and passes arguments as they are', async () => {
    const result = await runCommand('printf', ['%s|', 'a b', '$HOME', ';ls'], { timeoutMs: 5000 })
    expect(result).toEqual({ stdout: 'a b|$HOME|;ls|', stderr: '' })
  })

  it('rejects with exit code and output when the program fails', async () => {
    const error = await commandError(runCommand('sh', shell('echo out; echo err >&2; exit 3'), { timeoutMs: 5000 }))
    expect(error).toMatchObject({ exitCode: 3, signal: null, stdout: 'out\n', stderr: 'err\n', timedOut: false })
    expect(error.message).toBe('`sh -c` failed with exit code 3')
  })

  it('names the Debian package of a program that is not installed', async () => {
    const error = await failureOf(runCommand('/nowhere/qemu-img', [], { timeoutMs: 5000 }))
    expect(isSandlabError(error, 'missing_tool') && error.hint).toContain('apt-get install qemu-utils')
  })

  it('names the missing program, not prlimit, when limits are asked', async () => {
    const error = await failureOf(runCommand('no-such-tool', [], { timeoutMs: 5000, limits: { cpuSeconds: 1 } }))
    expect(isSandlabError(error, 'missing_tool') && error.details).toMatchObject({ tool: 'no-such-tool' })
  })

  it('does not call a program missing when it is the working folder that is', async () => {
    const error = await commandError(runCommand('true', [], { timeoutMs: 5000, cwd: '/nowhere' }))
    expect(error.message).toContain('could not be started')
  })

  it('ends a program that takes too long, with all that it started', async () => {
    const started = Date.now()
    const error = await commandError(runCommand('sh', shell('sleep 60 & echo $!; wait'), { timeoutMs: 300 }))
    expect(error).toMatchObject({ timedOut: true, cancelled: false, signal: 'SIGTERM' })
    expect(Date.now() - started).toBeLessThan(4000)
    expect(await stateOf(Number(error.stdout))).toMatch(/gone|Z/)
  })

  it('kills a program that ignores SIGTERM', async () => {
    const stubborn = "trap '' TERM; while :; do sleep 0.05; done"
    const error = await commandError(runCommand('sh', shell(stubborn), { timeoutMs: 200 }))
    expect(error).toMatchObject({ timedOut: true, signal: 'SIGKILL' })
  })

  it('stops when it is cancelled, also before it began', async () => {
    const abort = new AbortController()
    const running = commandError(
      runCommand('sh', shell('echo ready; exec sleep 60'), {
        timeoutMs: 60_000,
        signal: abort.signal,
        onLine: () => abort.abort(),
      }),
    )
    expect(await running).toMatchObject({ cancelled: true, timedOut: false, stdout: 'ready\n' })
    const late = await commandError(runCommand('true', [], { timeoutMs: 1000, signal: abort.signal }))
    expect(late).toMatchObject({ cancelled: true, exitCode: null })
  })

  it('fails a program that floods standard output, and keeps little of it', async () => {
    const error = await commandError(runCommand('yes', [], { timeoutMs: 20_000, maxOutputBytes: 10_000 }))
    expect(error.message).toContain('more than its limit')
    expect(error.stdout.length).toBeLessThanOrEqual(10_000)
  })

  it('keeps the newest output when the lines were listened to', async () => {
    let lines = 0
    const result = await runCommand('seq', ['1', '50000'], {
      timeoutMs: 20_000,
      maxOutputBytes: 100,
      onLine: () => (lines += 1),
    })
    expect(lines).toBe(50_000)
    expect(result.stdout.endsWith('49999\n50000\n')).toBe(true)
    expect(result.stdout).toHaveLength(100)
  })

  it('splits progress lines at carriage returns and keeps UTF-8 whole', async () => {
    const lines: string[] = []
    const script = "printf '(1%%)\\r(50%%)\\rgr\\303'; sleep 0.1; printf '\\274n\\nlast'"
    await runCommand('sh', shell(script), { timeoutMs: 5000, onLine: (line) => lines.push(line) })
    expect(lines).toEqual(['(1%)', '(50%)', 'grün', 'last'])
  })

  it('feeds standard input, and minds no program that does not read it', async () => {
    expect((await runCommand('cat', [], { timeoutMs: 5000, input: 'secret' })).stdout).toBe('secret')
    await expect(runCommand('true', [], { timeoutMs: 5000, input: Buffer.alloc(1 << 20) })).resolves.toBeDefined()
    expect((await runCommand('cat', [], { timeoutMs: 5000 })).stdout).toBe('')
  })

  it('limits the size of the files that a program writes', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'command-'))
    try {
      const error = await commandError(
        runCommand('dd', ['if=/dev/zero', 'of=big', 'bs=64k', 'count=100'], {
          timeoutMs: 10_000,
          cwd: folder,
          limits: { fileBytes: 100_000, cpuSeconds: 5, memoryBytes: 512 * 1024 * 1024 },
        }),
      )
      expect(error.signal ?? error.stderr).toMatch(/SIGXFSZ|File too large/)
    } finally {
      await rm(folder, { recursive: true })
    }
  })

  it('hands on descriptors and keeps our environment to itself', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'command-'))
    await writeFile(join(folder, 'file'), 'inherited')
    const file = await open(join(folder, 'file'))
    process.env['SANDLABX_TEST_SECRET'] = 'canary'
    try {
      const read = await runCommand('sh', shell('cat <&3; env'), {
        timeoutMs: 5000,
        extraFds: [file.fd],
        env: { ADDED: 'yes' },
      })
      expect(read.stdout).toContain('inherited')
      expect(read.stdout).toContain('ADDED=yes')
      expect(read.stdout).not.toContain('canary')
    } finally {
      delete process.env['SANDLABX_TEST_SECRET']
      await file.close()
      await rm(folder, { recursive: true })
    }
  })

  it('runs as the worker when there is one to run as', async () => {
    const root = process.getuid?.() === 0
    const identity = root ? { uid: 65_534, gid: 65_534 } : undefined
    const { stdout } = await runCommand('sh', shell('id -u; id -G'), { timeoutMs: 5000, identity })
    expect(stdout.split('\n')[0]).toBe(String(root ? 65_534 : process.getuid?.()))
    if (root) expect(stdout).toBe('65534\n65534\n')
  })
})

it('finds programs in sbin for every child', () => {
  expect(childEnvironment()['PATH']?.split(':')).toContain('/usr/sbin')
})
