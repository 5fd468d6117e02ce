import { readFile } from 'node:fs/promises'

/** Where something is mounted, as this process sees it. */
export async function readMountPoints(): Promise<string[]> {
  return parseMountPoints(await readFile('/proc/self/mountinfo', 'utf8'))
}

/** Field 5 of proc(5)'s mountinfo, in which blanks and backslashes are octal. Pure. */
export function parseMountPoints(text: string): string[] {
  const lines = text.split('\n').filter((line) => line !== '')
  return lines.map((line) =>
    (line.split(' ')[4] ?? '').replace(/\\([0-7]{3})/g, (_all, octal: string) =>
      String.fromCharCode(Number.parseInt(octal, 8)),
    ),
  )
}
