import { overlayFile, type Layout } from '../../src/domain/layout.js'
import { runCommand } from '../../src/system/command.js'

const run = async (tool: string, ...args: string[]) => (await runCommand(tool, args, { timeoutMs: 30_000 })).stdout

/** What a guest would have written: 64 KiB of one byte at a place of a stopped node's disk, in MiB. */
export async function writeDisk(layout: Layout, nodeId: string, byte: number, atMib = 1): Promise<void> {
  await run('qemu-io', '-f', 'qcow2', '-c', `write -q -P ${byte} ${atMib}M 64k`, overlayFile(layout, nodeId))
}

/** Whether a disk reads as that byte at that place, through all that it stands on. */
export async function readsAs(path: string, byte: number, atMib = 1): Promise<boolean> {
  const said = await run('qemu-io', '-r', '-U', '-f', 'qcow2', '-c', `read -P ${byte} ${atMib}M 64k`, path)
  return !said.includes('Pattern verification failed')
}

/** Throws when qemu-img finds errors or leaks. */
export async function checkDisk(path: string): Promise<void> {
  await run('qemu-img', 'check', '-q', '-f', 'qcow2', path)
}

/** Files of a disk, from itself down to its base. */
export async function chainLength(path: string): Promise<number> {
  return (JSON.parse(await run('qemu-img', 'info', '--output=json', '--backing-chain', path)) as unknown[]).length
}
