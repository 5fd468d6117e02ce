import type { ImageView } from '@domain/image.js'
import { useMemo, useState } from 'react'
import { useCurrentUser } from '../../../api/current-user.js'
import { usePlan } from '../../../api/plans.js'
import { suggestName } from '../../../util/suggest.js'
import { type BatchForm, batchRefusal, batchRequest } from './batch-request.js'
import { readNodeList } from './node-list.js'
import { useOwners } from './use-owners.js'

export type BatchDraft = ReturnType<typeof useBatchDraft>

/** What is filled in, what is wrong with it, what would be sent, and what the server would do with it. */
export function useBatchDraft(images: readonly ImageView[]) {
  const user = useCurrentUser()
  const owners = useOwners()
  const [form, setForm] = useState<BatchForm>(() => ({
    imageId: images[0]?.id ?? '',
    sizes: { cpus: 1 },
    how: 'pattern',
    pattern: `${suggestName(new Set())}-{nn}`,
    count: 10,
    ownerId: user.id,
    list: '',
    internet: false,
    start: false,
    keepGoing: false,
  }))
  const rows = useMemo(() => readNodeList(form.list, owners), [form.list, owners])
  const image = images.find(({ id }) => id === form.imageId)
  const request = batchRequest(form, rows, image, user.id)
  const refusal = batchRefusal(form, rows, request)
  const { plan, error, fresh } = usePlan(refusal ? null : { method: 'POST', path: 'nodes/batch', body: request })
  const count = form.how === 'pattern' ? form.count : rows.length
  const change = (next: Partial<BatchForm>) => setForm((before) => ({ ...before, ...next }))
  return { form, change, owners, rows, image, request, refusal, count, plan, error, fresh }
}
