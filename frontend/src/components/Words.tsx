import type { ReactNode } from 'react'
import { exactTime } from '../util/time.js'

const ISO_TIME = /\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g

/** A sentence of the server; what stands between backticks is something to type or the name of a file. */
export function Words({ children }: { children: string }): ReactNode {
  return children
    .replaceAll(ISO_TIME, (time) => exactTime(time))
    .split('`')
    .map((part, index) => (index % 2 === 1 ? <code key={index}>{part}</code> : part))
}
