import type { OperationKind } from '@domain/operation.js'

export const KIND_WORDS: Record<OperationKind, string> = {
  'image.build': 'Build an image',
  'image.pull': 'Download an image',
  'image.import': 'Import an image',
  'image.delete': 'Delete an image',
  'node.create': 'Create',
  'node.clone': 'Clone',
  'node.send': 'Send elsewhere',
  'node.receive': 'Receive',
  'node.start': 'Start',
  'node.stop': 'Stop',
  'node.restart': 'Restart',
  'node.suspend': 'Suspend',
  'node.resume': 'Resume',
  'node.discardMemory': 'Discard memory',
  'node.delete': 'Delete',
  'node.reset': 'Reset',
  'node.attach': 'Attach a disk',
  'node.testBoot': 'Test boot',
  'snapshot.create': 'Snapshot',
  'snapshot.restore': 'Restore a snapshot',
  'snapshot.delete': 'Delete a snapshot',
  'snapshot.flatten': 'Shorten a chain of disks',
  'snapshot.export': 'Export a snapshot',
  'drive.create': 'Add a drive',
  'drive.update': 'Change a drive',
  'drive.delete': 'Remove a drive',
  'drive.move': 'Move a drive',
  'trash.restore': 'Restore from the trash',
  'trash.purge': 'Empty the trash',
  'storage.discard': 'Discard a disk',
  'storage.verify': 'Verify storage',
  'storage.repair': 'Repair storage',
  'lab.migrate': 'Bring an older SandLabX in',
}

/** A newer server may know kinds that this page does not. */
export function kindWords(kind: string): string {
  return kind in KIND_WORDS ? KIND_WORDS[kind as OperationKind] : kind // tested by `in`
}
