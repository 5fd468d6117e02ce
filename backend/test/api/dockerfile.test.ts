import { execFile } from 'node:child_process'
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from '@jest/globals'

let bin: string
beforeEach(async () => {
  bin = await mkdtemp(join(tmpdir(), 'sandlabx-dpkg-'))
})
afterEach(() => rm(bin, { recursive: true, force: true }))

/** The first step of the build, where `dpkg` says that the machine is of this kind. */
async function firstStep(architecture: string): Promise<{ exitCode: number; stderr: string }> {
  const dockerfile = await readFile(join(import.meta.dirname, '../../../Dockerfile'), 'utf8')
  const step = /^RUN ((?:.*\\\n)*.*)$/m.exec(dockerfile)?.[1]
  if (step === undefined) throw new Error('the Dockerfile has no RUN')
  const dpkg = join(bin, 'dpkg')
  await writeFile(dpkg, `#!/bin/sh\n[ "$1" = --print-architecture ] && echo ${architecture}\n`)
  await chmod(dpkg, 0o755)
  return new Promise((settle) => {
    execFile('sh', ['-c', step], { env: { PATH: `${bin}:/usr/bin:/bin` } }, (error, _stdout, stderr) =>
      settle({ exitCode: error === null ? 0 : Number(error.code), stderr }),
    )
  })
}

it('the container’s image is built for amd64, and says so elsewhere before it fetches anything', async () => {
  expect(await firstStep('amd64')).toEqual({ exitCode: 0, stderr: '' })
  const elsewhere = await firstStep('arm64')
  expect(elsewhere.exitCode).toBe(1)
  expect(elsewhere.stderr).toMatch(/this is arm64.*--platform linux\/amd64/)
})
