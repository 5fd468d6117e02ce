import { stripVTControlCharacters } from 'node:util'
import type { NodeId } from '../domain/ids.js'
import type { NodeEngine } from '../hosts/engine.js'

/** The newest serial lines as plain text, without terminal escapes; empty when there are none. */
export async function serialLines(engine: NodeEngine, id: NodeId, count = 20): Promise<string[]> {
  const tail = await engine.serialTail(id, 16 * 1024).catch(() => Buffer.alloc(0)) // the node's end is what matters here
  return plainLines(tail.toString('utf8'), count)
}

export function plainLines(text: string, count: number): string[] {
  return stripVTControlCharacters(text)
    .split('\n')
    .map((line) =>
      Array.from(line)
        .filter((character) => character >= ' ' && character !== '\u007f')
        .join(''),
    )
    .map((line) => line.trimEnd().slice(0, 400))
    .filter((line) => line !== '')
    .slice(-count)
}
