import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import type { Io } from './io.js'
import { runCli } from './program.js'

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

const { version } = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string
}
process.exitCode = await runCli(process.argv.slice(2), io, version)
