import { readFile } from 'node:fs/promises'
import { SandlabError } from '../domain/error.js'
import type { Io } from './io.js'

const MAX_BYTES = 64 * 1024

/** The YAML that says what a node is; `-` reads standard input. Throws `bad_request` for what can't be one. */
export async function readConfigFile(io: Io, file: string): Promise<string> {
  const bytes = file === '-' ? await readStdin(io) : await readWhole(file)
  if (bytes.length > MAX_BYTES) {
    throw new SandlabError('bad_request', `${nameOf(file)} is too large for a node's configuration; at most 64 KiB.`)
  }
  const text = bytes.toString('utf8')
  if (text.trim() !== '') return text
  throw new SandlabError('bad_request', `${nameOf(file)} is empty.`, {
    hint: 'It has what "sandlabx show NODE" prints.',
  })
}

function nameOf(file: string): string {
  return file === '-' ? 'The standard input' : `The file ${file}`
}

async function readWhole(file: string): Promise<Buffer> {
  try {
    return await readFile(file)
  } catch (error) {
    throw new SandlabError('bad_request', `The file ${file} can't be read.`, { cause: error })
  }
}

async function readStdin(io: Io): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of io.stdin) {
    const bytes = Buffer.from(chunk as Uint8Array | string)
    size += bytes.length
    chunks.push(bytes)
    if (size > MAX_BYTES) break
  }
  return Buffer.concat(chunks)
}
