import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { readConfig } from './config.js'
import { ERROR_CODES, isSandlabError } from './domain/error.js'
import { startBackend, type Backend } from './backend.js'

/** The process: read the environment, start, say where, and end in order on a signal. */
async function main(): Promise<void> {
  const config = readConfig(process.env)
  const { version } = JSON.parse(await readFile(new URL('../package.json', import.meta.url), 'utf8')) as {
    version: string
  }
  const pageFolder = fileURLToPath(new URL('../../frontend/dist', import.meta.url))
  const backend = await startBackend({ config, version, pageFolder, onFirstAdministrator: tellFirstLogin })
  endOnSignals(backend)
  await mkdir(config.layout.run, { recursive: true })
  const { port } = backend.http.address() as AddressInfo // it listens on TCP
  const host = config.host === '0.0.0.0' || config.host === '::' ? 'localhost' : config.host
  const url = `http://${host.includes(':') ? `[${host}]` : host}:${port}`
  await writeFile(`${config.layout.run}/backend.json`, JSON.stringify({ pid: process.pid, url }), { mode: 0o644 })
  backend.onClose(() => rm(`${config.layout.run}/backend.json`, { force: true }))
  process.stdout.write(`SandLabX ${version} listens on ${url}\n`)
}

/** On standard output, which is the log of a container; `sandlabx up` tells it by itself and keeps it out of its log. */
function tellFirstLogin({ login, password }: { login: string; password: string }): void {
  process.stdout.write(`The first administrator is "${login}" with the password ${password}\n`)
  process.stdout.write('It is told here once; `sandlabx admin first-login` tells it until it is changed.\n')
}

function endOnSignals(backend: Backend): void {
  let ending = false
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (ending) return
      ending = true
      void backend.close().finally(() => {
        process.exitCode = 0
        // Whatever keeps the loop alive now is a leak; nodes run on by themselves.
        setTimeout(() => process.exit(0), 3000).unref()
      })
    })
  }
}

try {
  await main()
} catch (error) {
  if (isSandlabError(error)) {
    process.stderr.write(`sandlabx: ${error.message}\n${error.hint === undefined ? '' : `  ${error.hint}\n`}`)
    process.exit(ERROR_CODES[error.code].exit)
  }
  throw error
}
