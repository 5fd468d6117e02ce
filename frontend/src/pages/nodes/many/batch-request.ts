import type { ImageView } from '@domain/image.js'
import { batchCreateSchema } from '@domain/node.js'
import { MIB } from '@domain/units.js'
import type { BatchRequest } from '../../../api/clones.js'
import { nameProblem } from '../../../clone/clone-request.js'
import { problemsOf } from '../../../util/validate.js'
import { type Sizes, sizesFor } from '../node-sizes.js'
import type { ListedNode } from './node-list.js'

/** What the dialog for many holds. */
export interface BatchForm {
  imageId: string
  sizes: Sizes
  how: 'pattern' | 'list'
  pattern: string
  count: number
  /** Of all in a pattern; of those without one in a list. */
  ownerId: string
  list: string
  internet: boolean
  start: boolean
  keepGoing: boolean
}

export function batchRequest(
  form: BatchForm,
  rows: readonly ListedNode[],
  image: ImageView | undefined,
  me: string,
): BatchRequest {
  const { memory, disk } = sizesFor(image, form.sizes)
  const template = {
    image: form.imageId,
    cpus: form.sizes.cpus,
    memoryMib: Math.round(memory / MIB),
    diskBytes: disk,
    internet: form.internet,
    start: form.start,
    ...(form.ownerId === me ? {} : { ownerId: form.ownerId }),
  }
  if (form.how === 'pattern') return { template, count: form.count, name: form.pattern, keepGoing: form.keepGoing }
  return {
    template,
    keepGoing: form.keepGoing,
    nodes: rows.map(({ name, ownerId, guestUser }) => ({
      name,
      ...(ownerId === undefined ? {} : { ownerId }),
      ...(guestUser === '' ? {} : { guestUser }),
    })),
  }
}

/** Why the server is not asked yet, as a sentence; null when it can be. */
export function batchRefusal(form: BatchForm, rows: readonly ListedNode[], request: BatchRequest): string | null {
  if (form.how === 'pattern') {
    const name = nameProblem(form.pattern, Math.max(form.count, 2))
    if (name) return name
    if (form.count < 2) return 'At least two; for one there is “New node”.'
  } else {
    const faulty = rows.filter(({ faults }) => faults.length > 0).length
    if (rows.length === 0) return 'Write or paste the list first.'
    if (faulty > 0) return `${faulty} ${faulty === 1 ? 'line has' : 'lines have'} a fault.`
    if (rows.length < 2) return 'At least two nodes; for one there is “New node”.'
  }
  return Object.values(problemsOf(batchCreateSchema, request))[0] ?? null
}
