import type { Operation, OperationItem } from '@domain/operation.js'
import type { Shape, Tone } from '../components/node-status.js'

interface Face {
  word: string
  tone: Tone
  shape: Shape
}

export const OPERATION_STATES: Record<Operation['state'], Face> = {
  running: { word: 'Running', tone: 'boot', shape: 'half' },
  succeeded: { word: 'Done', tone: 'run', shape: 'dot' },
  failed: { word: 'Failed', tone: 'bad', shape: 'cross' },
  cancelled: { word: 'Cancelled', tone: 'off', shape: 'ring' },
  lost: { word: 'Lost', tone: 'warn', shape: 'triangle' },
}

export const ITEM_STATES: Record<OperationItem['state'], Face> = {
  waiting: { word: 'Waiting', tone: 'off', shape: 'ring' },
  running: { word: 'Under way', tone: 'boot', shape: 'half' },
  succeeded: { word: 'Done', tone: 'run', shape: 'dot' },
  failed: { word: 'Failed', tone: 'bad', shape: 'cross' },
  undone: { word: 'Taken back', tone: 'off', shape: 'ring' },
}
