import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import type { Io } from './io.js'
import { runCli } from './program.js'

const versionSchema = z.object({ version: z.string() })
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

const io: Io = {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  homeDir: process.env['SANDLABX_DATA'] || fileURLToPath(new URL('../../..', import.meta.url)).replace(/\/$/, ''),
  serverScript: fileURLToPath(new URL('../main.js', import.meta.url)),
  onSignal(listener) {
    for (const signal of SIGNALS) process.on(signal, listener)
    return () => {
      for (const signal of SIGNALS) process.off(signal, listener)
    }
  },
}

// A reader that has seen enough (`sandlabx ls | head -1`) is no failure.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
  })
}

process.exitCode = await runCli(process.argv.slice(2), io, await readVersion())

async function readVersion(): Promise<string> {
  const file = new URL('../../package.json', import.meta.url)
  const known = versionSchema.safeParse(JSON.parse(await readFile(file, 'utf8').catch(() => 'null')))
  return known.success ? known.data.version : 'unknown'
}
