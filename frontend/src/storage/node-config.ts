import type { Orphan } from '@domain/storage.js'

/** A beginning for the YAML that says what a disk without a record belongs to; the form that `sandlabx show` prints. */
export function configTemplate({ path, format }: Pick<Orphan, 'path' | 'format'>, name: string): string {
  return [
    `name: ${name}`,
    'binary: qemu-system-x86_64',
    '',
    'arguments:',
    '  - m: "1G"',
    '  - smp: 1',
    '',
    'storage:',
    '  - name: root',
    `    type: ${format === 'raw' ? 'raw' : 'qcow2'}`,
    `    file: ${path}`,
    '    interface: virtio',
    '',
    'network:',
    '  - type: user',
    '',
  ].join('\n')
}

/** The line that an error of the server is about, counted from one; undefined when it names none. */
export function lineOf(message: string, details: Record<string, unknown> = {}): number | undefined {
  const { line } = details
  if (typeof line === 'number' && line >= 1) return line
  const found = /\bline (\d+)\b/i.exec(message)
  return found ? Number(found[1]) : undefined
}

/** `forgotten.qcow2` → `forgotten`; empty when nothing of it can be a node's name. */
export function nameFromFile(path: string): string {
  const file = path.split('/').at(-1) ?? ''
  return file
    .replace(/\.[a-z0-9]+$/i, '')
    .toLowerCase()
    .replaceAll(/[^a-z0-9-]+/g, '-')
    .slice(0, 40)
    .replaceAll(/^-+|-+$/g, '')
}
