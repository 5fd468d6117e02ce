import type { NodeId } from '../domain/ids.js'
import type { NodeEngine } from '../hosts/engine.js'

// eslint-disable-next-line no-control-regex -- the escape sequences of terminals begin with control characters
const ESCAPES =
  /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)|[@-Z\\-_])|[\u0000-\u0008\u000b-\u001f\u007f]/g

/** The newest serial lines as plain text, without terminal escapes; empty when there are none. */
export async function serialLines(engine: NodeEngine, id: NodeId, count = 20): Promise<string[]> {
  const tail = await engine.serialTail(id, 16 * 1024).catch(() => Buffer.alloc(0)) // the node's end is what matters here
  return plainLines(tail.toString('utf8'), count)
}

export function plainLines(text: string, count: number): string[] {
  return text
    .replaceAll('\r', '')
    .replaceAll(ESCAPES, '')
    .split('\n')
    .map((line) => line.trimEnd().slice(0, 400))
    .filter((line) => line !== '')
    .slice(-count)
}
