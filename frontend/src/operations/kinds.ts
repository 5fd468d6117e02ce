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
  'node.delete': 'Delete',
}

/** A newer server may know kinds that this page does not. */
export function kindWords(kind: string): string {
  return kind in KIND_WORDS ? KIND_WORDS[kind as OperationKind] : kind // tested by `in`
}
