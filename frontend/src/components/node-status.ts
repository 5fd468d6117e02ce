import type { NodeStatus } from '@domain/node.js'

export type Tone = 'run' | 'boot' | 'held' | 'off' | 'warn' | 'bad'
export type Shape = 'dot' | 'half' | 'bars' | 'ring' | 'triangle' | 'cross'

/** A status is told by a word, a shape and a colour; any one of them is enough. */
export const NODE_STATUS = {
  creating: { word: 'Creating', tone: 'boot', shape: 'half' },
  stopped: { word: 'Stopped', tone: 'off', shape: 'ring' },
  starting: { word: 'Starting', tone: 'boot', shape: 'half' },
  running: { word: 'Running', tone: 'run', shape: 'dot' },
  paused: { word: 'Paused', tone: 'held', shape: 'bars' },
  stopping: { word: 'Stopping', tone: 'boot', shape: 'half' },
  suspending: { word: 'Suspending', tone: 'boot', shape: 'half' },
  suspended: { word: 'Suspended', tone: 'held', shape: 'bars' },
  crashed: { word: 'Crashed', tone: 'bad', shape: 'cross' },
  broken: { word: 'Broken', tone: 'bad', shape: 'cross' },
  unknown: { word: 'Unknown', tone: 'warn', shape: 'triangle' },
} as const satisfies Record<NodeStatus, { word: string; tone: Tone; shape: Shape }>
